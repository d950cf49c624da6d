//! What the tests stand on.

pub(crate) mod control_group;
pub(crate) mod crowd;
pub(crate) mod fixture;
pub(crate) mod generations;
pub(crate) mod group;
pub(crate) mod installed;
pub(crate) mod message;
pub(crate) mod pairing;
pub(crate) mod peers;
pub(crate) mod program;
pub(crate) mod refusal;
pub(crate) mod size;
pub(crate) mod splits;
pub(crate) mod talking_program;
