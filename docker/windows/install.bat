@echo off
rem Run once by the installation, as administrator, in the folder that it was copied to.
powershell -NoProfile -ExecutionPolicy Bypass -File "%~dp0install.ps1" -User "%USERNAME%" > "%~dp0install.log" 2>&1
exit /b %ERRORLEVEL%
