//! Boards as Linux shows them: links to serial devices, serial ports, USB; and talking to one over
//! its serial port before anyone else opens it.

mod command;
mod conversation;
mod dialogue;
mod hotplug;
mod links;
mod station;
mod sysfs;

pub use conversation::answer;
pub use dialogue::SerialDialogue;
pub use station::StationPorts;
