//! Memory that is used again.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// How many pieces may wait to be given back: as many as a connection takes in before it sends, and one.
const LENT: usize = 4;

/// Memory for the pieces of a file, which is used again once nobody holds what was in it: fresh memory costs the
/// system about as much as reading the file does.
#[derive(Debug, Default)]
pub struct Buffers(VecDeque<Bytes>);

impl Buffers {
    /// Room for `len` bytes, with whatever is in it.
    pub fn take(&mut self, len: usize) -> BytesMut {
        match self.0.pop_front().map(Bytes::try_into_mut) {
            Some(Ok(mut buffer)) => {
                buffer.resize(len, 0);
                return buffer;
            }
            Some(Err(held)) => self.0.push_front(held),
            None => {}
        }
        BytesMut::zeroed(len)
    }

    /// Remembers what is given away, to have it back.
    pub fn lend(&mut self, bytes: &Bytes) {
        if self.0.len() < LENT {
            self.0.push_back(bytes.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_once_nobody_holds_it() {
        let mut buffers = Buffers::default();
        let mut lend = |len| {
            let bytes = buffers.take(len).freeze();
            buffers.lend(&bytes);
            bytes
        };

        let first = lend(8);
        let place = first.as_ptr();
        let beside = lend(8);
        assert_ne!(beside.as_ptr(), place, "somebody holds it");

        drop((first, beside));
        let again = lend(5);
        assert_eq!((again.as_ptr(), again.len()), (place, 5));
    }
}
