//! Bytes of a request's body in h2's hands, which does not tell how many it still has.

use std::rc::Rc;

use bytes::{Buf, Bytes};

use crate::admit::Share;

/// A part of a request's body. Where memory has a ceiling it is counted as held until h2 has written it, or
/// let it go with its stream.
pub(in crate::upstream) struct Parcel {
    bytes: Bytes,
    counted: Option<(Rc<Share>, usize)>,
}

impl Parcel {
    pub(in crate::upstream) fn new(bytes: Bytes, share: Option<&Rc<Share>>) -> Self {
        let counted = share.map(|share| (Rc::clone(share), bytes.len()));
        if let Some((share, bytes)) = &counted {
            share.add(*bytes);
        }
        Self { bytes, counted }
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        if let Some((share, bytes)) = &self.counted {
            share.sub(*bytes);
        }
    }
}

impl Buf for Parcel {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}
