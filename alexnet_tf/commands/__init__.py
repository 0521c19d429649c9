"""What each command does: thin doors to the functions of the other rooms, which load when they are opened."""
