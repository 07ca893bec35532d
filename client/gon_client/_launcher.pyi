from gon_client._express import Express
from gon_client.module import Kernel

class Launcher:
    def __init__(self, kernel: Kernel, express: Express) -> None: ...
