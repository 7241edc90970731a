"""The desktop: types, providers, the HTTP client, and the server that runs inside it."""
