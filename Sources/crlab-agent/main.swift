import Glibc
import GuestAgent

exit(Agent.run(CommandLine.arguments))
