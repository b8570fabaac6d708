//! Detection and dialogue on pseudo-terminals. Real USB is in `tests/hotplug`.

#[path = "boards_dialogue.rs"]
mod dialogue;
#[path = "boards_station.rs"]
mod station;
