enum GuestWirePlaceholder {}
