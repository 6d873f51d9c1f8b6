// Replaced by the room
