"""What content can do: each use case builds one command for the gateway, or reads. One module per aggregate."""
