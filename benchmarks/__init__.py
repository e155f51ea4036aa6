"""Speed, measured: our server beside a bare floor, over real HTTP on loopback."""
