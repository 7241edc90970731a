() => {
  const channels = colour => {
    const pen = Object.assign(document.createElement("canvas"), {width: 1, height: 1}).getContext("2d");
    pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = node => {
    for (let at = node; at; at = at.parentElement) {
      const found = channels(getComputedStyle(at).backgroundColor);
      if (found[3] === 255) return found;
    }
    return [255, 255, 255, 255];
  };
  const low = [];
  for (const node of document.querySelectorAll("body *")) {
    const said = [...node.childNodes].some(kid => kid.nodeType === 3 && kid.textContent.trim());
    if (!said || !node.getClientRects().length || node.closest("script, style, [disabled], .nothing, .terminal")) continue;
    const style = getComputedStyle(node), svg = node.namespaceURI.endsWith("svg");
    const [one, other] = [light(channels(svg ? style.fill : style.color)), light(ground(node))].sort((a, b) => b - a);
    const ratio = (one + .05) / (other + .05);
    if (ratio < 4.5) low.push(`${node.tagName}.${node.className.baseVal ?? node.className} ${ratio.toFixed(2)}: ${node.textContent.slice(0, 40)}`);
  }
  return [...new Set(low)];
}
