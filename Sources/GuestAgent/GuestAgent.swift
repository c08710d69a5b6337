enum GuestAgentPlaceholder {}
