//! Looks whether the configuration's files have changed, once a second, and whether certificates end soon. inotify would say it at once and
//! more often than it is true: an editor's save is several events, and network file systems send none.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::Stamp;
use crate::runtime::Reloader;
use crate::runtime::certificates::AGAIN;

/// Between two looks; a change is taken up when two of them agree.
const LOOK: Duration = Duration::from_secs(1);

/// Looks until dropped.
pub(super) struct Watching(
    #[expect(dead_code, reason = "its end is what it says")] mpsc::SyncSender<()>,
);

/// What the looks so far showed.
#[derive(Debug, Default)]
struct Changing {
    /// As of the last look, if it was not what had been read.
    pending: Option<Vec<Stamp>>,
    /// What was given a try, and refused. Not tried again until it changes.
    tried: Option<Vec<Stamp>>,
}

impl Changing {
    /// Whether to read the files again, which were `read` then and are `now`. Not while they change: what
    /// an editor or a copy has half-way written is not meant.
    fn look(&mut self, read: &[Stamp], now: Vec<Stamp>) -> bool {
        if now == read {
            *self = Self::default();
            return false;
        }
        if self.tried.as_ref() == Some(&now) {
            return false;
        }
        if self.pending.as_ref() != Some(&now) {
            self.pending = Some(now);
            return false;
        }
        *self = Self { pending: None, tried: Some(now) };
        true
    }
}

/// Begins to look, on a thread of its own: a file system that does not answer holds up nothing else.
pub(super) fn watch(reloader: &Arc<Reloader>) -> std::io::Result<Watching> {
    let (alive, owner) = mpsc::sync_channel::<()>(1);
    let reloader = Arc::downgrade(reloader);
    thread::Builder::new().name("watch".into()).spawn(move || {
        let (mut changing, mut warned) = (Changing::default(), Instant::now());
        while owner.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            let Some(reloader) = Weak::upgrade(&reloader) else { return };
            if warned.elapsed() >= AGAIN {
                warned = Instant::now();
                reloader.warn_of_certificates();
            }
            let Some(files) = reloader.watched() else { continue };
            let Some((about, _)) = files.first() else { continue };
            let read: Vec<_> = files.iter().map(|(_, stamp)| *stamp).collect();
            let paths = files.iter().map(|(path, _)| path.clone()).collect();
            // A file system that does not answer has not said that anything changed.
            let Ok(now) = Stamp::of_all(about, paths) else { continue };
            if changing.look(&read, now) {
                // It says itself what became of it.
                let _became = reloader.reload("change");
            }
        }
    })?;
    Ok(Watching(alive))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stamps of files that hold so many bytes.
    fn of(sizes: &[usize]) -> Vec<Stamp> {
        let folder = std::env::temp_dir();
        let stamp = |size: &usize| {
            let path = folder.join(format!("firstbyte-stamp-{}-{size}", std::process::id()));
            std::fs::write(&path, vec![b'x'; *size]).unwrap();
            let stamp = Stamp::of(&path);
            std::fs::remove_file(path).unwrap();
            stamp
        };
        sizes.iter().map(stamp).collect()
    }

    #[test]
    fn a_change_is_taken_up_once_it_has_stayed_for_a_look() {
        let (read, half, whole) = (of(&[1]), of(&[2]), of(&[3]));
        let mut changing = Changing::default();
        assert!(!changing.look(&read, read.clone()));
        assert!(!changing.look(&read, half));
        assert!(!changing.look(&read, whole.clone()), "it is still being written");
        assert!(changing.look(&read, whole.clone()));
        assert!(!changing.look(&whole, whole.clone()), "it was read");
    }

    #[test]
    fn what_was_refused_is_not_tried_again_until_it_changes() {
        let (read, bad, good) = (of(&[1]), of(&[2]), of(&[3]));
        let mut changing = Changing::default();
        changing.look(&read, bad.clone());
        assert!(changing.look(&read, bad.clone()));
        assert!((0..3).all(|_| !changing.look(&read, bad.clone())));
        changing.look(&read, good.clone());
        assert!(changing.look(&read, good));
        assert!(!changing.look(&read, read.clone()), "put back");
        changing.look(&read, bad.clone());
        assert!(changing.look(&read, bad));
    }

    #[test]
    fn a_file_that_is_gone_differs_from_one_that_is_there() {
        let there = of(&[1]);
        assert_ne!(there[0], Stamp::of(std::path::Path::new("/nonexistent")));
    }
}
