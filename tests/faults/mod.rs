//! What breaks, and what the client sees of it.

mod causes;
mod clocks;
mod deadlines;
mod errors;
mod panics;
mod tenants;
mod truncation;
mod truncation_anywhere;
mod wall_clock;
