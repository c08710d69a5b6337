import GuestAgent
import Glibc

exit(Agent.run(CommandLine.arguments))
