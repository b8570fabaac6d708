mod badges;
mod managing;
mod memory;
mod ruling;
mod signing_in;
