"""The service: settings, wiring, commands, background work, HTTP and WebSocket."""
