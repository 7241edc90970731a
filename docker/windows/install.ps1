# Makes this machine a desktop of deskbench: copies the server, lets it through the firewall, starts it at each logon.
# As administrator: powershell -ExecutionPolicy Bypass -File install.ps1 -User NAME [-Password PASSWORD]
#requires -version 5.1
#requires -runasadministrator
[CmdletBinding()]
param(
    [string]$User = $env:USERNAME,       # whose desktop it is
    [string]$Password = "",              # given: the machine logs this user on by itself
    [int]$Port = 5000,
    [string[]]$From = @("LocalSubnet"),  # who may connect: addresses, ranges, or LocalSubnet
    [string]$Target = "$env:ProgramData\deskbench"
)
$ErrorActionPreference = "Stop"
$source = $PSScriptRoot
$task = "deskbench server"
$python = "$Target\python\pythonw.exe"  # python.exe would show a console on the desktop

function Invoke-Tool([string]$Program, [string[]]$Arguments) {
    & $Program @Arguments | Out-Host
    if ($LASTEXITCODE -ne 0) { throw "$Program $($Arguments -join ' ') ended with $LASTEXITCODE" }
}

# -- files: readable for the user, writable for administrators only; what is copied inherits the folder's rights
Unregister-ScheduledTask -TaskName $task -Confirm:$false -ErrorAction SilentlyContinue
Get-CimInstance Win32_Process -Filter "Name = 'pythonw.exe'" |
    Where-Object { $_.ExecutablePath -eq $python } |
    ForEach-Object { Stop-Process -Id $_.ProcessId -Force }
New-Item -ItemType Directory -Force -Path $Target | Out-Null
# Well-known identities by number, for their names are translated: S-1-5-18 is SYSTEM, S-1-5-32-544 Administrators.
Invoke-Tool icacls @($Target, "/inheritance:r", "/grant:r", "*S-1-5-18:(OI)(CI)F", "*S-1-5-32-544:(OI)(CI)F",
    "${User}:(OI)(CI)RX", "/q")
foreach ($part in "deskbench", "python", "site", "tokens.json") {
    $there = Join-Path $Target $part
    if (Test-Path $there) { Remove-Item -Recurse -Force $there }
    Copy-Item -Recurse -Force (Join-Path $source $part) $there
}

# -- the network: this port, from these addresses
Remove-NetFirewallRule -DisplayName $task -ErrorAction SilentlyContinue
New-NetFirewallRule -DisplayName $task -Direction Inbound -Action Allow -Protocol TCP -LocalPort $Port `
    -RemoteAddress $From -Profile Any -Program $python | Out-Null

# -- at each logon, in the user's session, with an ordinary program's rights; a minute after it has ended, again
$arguments = "-m deskbench.envs.server --host 0.0.0.0 --port $Port --tokens `"$Target\tokens.json`""
$action = New-ScheduledTaskAction -Execute $python -Argument $arguments -WorkingDirectory $Target
$trigger = New-ScheduledTaskTrigger -AtLogOn -User $User
$trigger.Repetition = (New-ScheduledTaskTrigger -Once -At (Get-Date) `
    -RepetitionInterval (New-TimeSpan -Minutes 1)).Repetition
$settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries -StartWhenAvailable `
    -ExecutionTimeLimit ([TimeSpan]::Zero) -MultipleInstances IgnoreNew
$principal = New-ScheduledTaskPrincipal -UserId $User -LogonType Interactive -RunLevel Limited
Register-ScheduledTask -TaskName $task -Action $action -Trigger $trigger -Settings $settings -Principal $principal `
    -Force | Out-Null

# -- a screen that stays as it is
foreach ($what in "monitor-timeout-ac", "standby-timeout-ac", "hibernate-timeout-ac") {
    Invoke-Tool powercfg @("/change", $what, "0")
}
$personal = "HKLM:\SOFTWARE\Policies\Microsoft\Windows\Personalization"
New-Item -Force -Path $personal | Out-Null
Set-ItemProperty -Path $personal -Name NoLockScreen -Type DWord -Value 1
if ($Password) {
    $logon = "HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon"
    Set-ItemProperty -Path $logon -Name AutoAdminLogon -Value "1"
    Set-ItemProperty -Path $logon -Name DefaultUserName -Value $User
    Set-ItemProperty -Path $logon -Name DefaultPassword -Value $Password  # in clear: for machines that hold nothing else
}

Start-ScheduledTask -TaskName $task
for ($second = 0; $second -lt 60; $second++) {
    try {
        $answer = Invoke-WebRequest -UseBasicParsing -TimeoutSec 2 "http://127.0.0.1:$Port/platform"
        Write-Output "the server answers at port ${Port}: $($answer.Content)"
        exit 0
    } catch {
        if ($_.Exception.Response) { Write-Output "the server answers at port $Port and asks for its token"; exit 0 }
        Start-Sleep -Seconds 1
    }
}
throw "the server did not answer within a minute: is $User logged on? Get-ScheduledTaskInfo '$task' says how it ended"
