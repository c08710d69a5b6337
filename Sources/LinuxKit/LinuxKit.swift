enum LinuxKitPlaceholder {}
