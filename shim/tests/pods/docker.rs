//! Under docker, with containerd's store of images.

use crate::node::Node;

pub const ALL: &[(&str, fn(&Node))] = &[];
