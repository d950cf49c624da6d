//! Files as they are read for a configuration: regular ones, of bounded size, within a bounded time.
//!
//! A dead network mount blocks `open` and `stat` themselves, and nothing can end such a call. So every call
//! is made on a thread of its own, which is left behind when its time is over. Few may be left behind at
//! once; further calls are then refused at once, until one of them returns.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

/// Largest file that is read: a configuration, a key, a CA bundle (the platforms' own are a
/// quarter of a megabyte). Without a bound `file:/dev/zero` would fill the memory.
const LARGEST: u64 = 4 * 1024 * 1024;

/// An automounter and a slow server take a second or two; who waits for a reload would not wait much longer.
const WITHIN: Duration = Duration::from_secs(5);

/// Calls that may be left behind at once. More of them would find the same file system dead.
const FEW: usize = 4;

/// So soon after a call was left behind, the same file is not tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// The process's own calls: whoever makes them, the threads left behind are the process's.
static CALLS: Calls = Calls::new(WITHIN);

/// The bytes of a regular file. Links are followed, as Kubernetes' secrets need it.
///
/// # Errors
/// It cannot be opened or read; it is not a regular file ([`ErrorKind::InvalidInput`]: a FIFO, a pipe, a
/// device, a folder), larger than 4 MiB ([`ErrorKind::FileTooLarge`]), or not read within 5 s
/// ([`ErrorKind::TimedOut`]); or an earlier call for it still hangs ([`ErrorKind::ResourceBusy`]).
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let own = path.to_owned();
    CALLS.call(path, move || read_regular(&own))
}

/// Any other call to a file system, about `path`, within the same time and on a thread of its own.
///
/// # Errors
/// The call's own; or as for [`read_file`], that it took too long.
pub fn apart<T: Send + 'static>(
    path: &Path,
    call: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    CALLS.call(path, call)
}

/// As [`read_file`], on the caller's thread and without a bound in time: for use within [`apart`].
///
/// # Errors
/// As for [`read_file`], but for those about time.
pub fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    // A FIFO that nobody writes to would block `open`. What was opened is asked of the descriptor: the
    // name may lead elsewhere a moment later.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        let what = format!("it is {}, not a regular file", kind(found.file_type()));
        return Err(io::Error::new(ErrorKind::InvalidInput, what));
    }
    read_bounded(file)
}

fn read_bounded(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "it is larger than 4 MiB"));
    }
    Ok(bytes)
}

fn kind(found: FileType) -> &'static str {
    if found.is_dir() {
        "a folder"
    } else if found.is_fifo() {
        "a FIFO or a pipe"
    } else {
        "a device or a socket"
    }
}

/// Calls under way.
struct Calls {
    under_way: Mutex<UnderWay>,
    within: Duration,
}

#[derive(Default)]
struct UnderWay {
    next: u64,
    calls: Vec<Call>,
}

struct Call {
    id: u64,
    path: PathBuf,
    began: Instant,
    /// Nobody waits for it any more.
    left: bool,
}

/// A call's own end of it. Dropped, the call has returned, or panicked.
struct Returning(&'static Calls, u64);

impl Drop for Returning {
    fn drop(&mut self) {
        self.0.lock().calls.retain(|call| call.id != self.1);
    }
}

impl Calls {
    const fn new(within: Duration) -> Self {
        let under_way = UnderWay { next: 0, calls: Vec::new() };
        Self { under_way: Mutex::new(under_way), within }
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call<T: Send + 'static>(
        &'static self,
        path: &Path,
        call: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let returning = self.begin(path, Instant::now())?;
        let id = returning.1;
        let (answer, answered) = sync_channel(1);
        thread::Builder::new().name("files".into()).spawn(move || {
            let result = call();
            drop(returning); // first: who has the answer may make the next call
            let _nobody_waits = answer.send(result);
        })?;
        match answered.recv_timeout(self.within) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => {
                self.leave(id);
                let what = format!("it was not opened and read within {} s", self.within.as_secs());
                Err(io::Error::new(ErrorKind::TimedOut, what))
            }
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("reading it failed")),
        }
    }

    fn begin(&'static self, path: &Path, now: Instant) -> io::Result<Returning> {
        let mut under_way = self.lock();
        let left = || under_way.calls.iter().filter(|call| call.left);
        let last = left().filter(|call| call.path == path).max_by_key(|call| call.began);
        let soon = last.filter(|call| now.saturating_duration_since(call.began) < AGAIN);
        let too_many = left().next().filter(|_| left().count() >= FEW);
        if let Some(call) = soon.or(too_many) {
            let since = now.saturating_duration_since(call.began).as_secs();
            let what = format!(
                "a file is still being read, for {since} s: {}; its file system does not respond",
                call.path.display()
            );
            return Err(io::Error::new(ErrorKind::ResourceBusy, what));
        }
        let id = under_way.next;
        under_way.next += 1;
        under_way.calls.push(Call { id, path: path.to_owned(), began: now, left: false });
        Ok(Returning(self, id))
    }

    fn leave(&self, id: u64) {
        // Not there any more if it returned in this very moment.
        if let Some(call) = self.lock().calls.iter_mut().find(|call| call.id == id) {
            call.left = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::sync::mpsc::SyncSender;

    fn calls(within: Duration) -> &'static Calls {
        Box::leak(Box::new(Calls::new(within)))
    }

    const SOON: Duration = Duration::from_millis(20);
    const LATE: Duration = Duration::from_secs(20);

    /// A call that returns when it is let go, and that nobody waits for any more.
    fn hang(calls: &'static Calls, path: &str) -> SyncSender<()> {
        let (go, gone) = sync_channel::<()>(1);
        let late = calls.call(Path::new(path), move || Ok(gone.recv().ok())).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        go
    }

    /// Until the threads let go have returned.
    fn settled(calls: &'static Calls) {
        let began = Instant::now();
        while !calls.lock().calls.is_empty() {
            assert!(began.elapsed() < LATE, "it does not return");
            thread::yield_now();
        }
    }

    fn folder(name: &str) -> PathBuf {
        let name = format!("firstbyte-files-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn make_fifo(path: &Path) {
        rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RWXU).unwrap();
    }

    /// An `open` that blocks in the kernel, as one on a dead mount does: of a FIFO, without `O_NONBLOCK`.
    #[test]
    fn an_open_that_does_not_return_is_left_behind_and_its_file_refused_until_it_does() {
        let (calls, folder) = (calls(SOON), folder("dead"));
        let dead = folder.join("key");
        make_fifo(&dead);
        let own = dead.clone();
        let late = calls.call(&dead, move || File::open(own)).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        let refused = calls.call(&dead, || Ok(())).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ResourceBusy);
        let said = refused.to_string();
        assert!(said.contains("a file is still being read") && said.contains("/key"), "{said}");
        drop(OpenOptions::new().write(true).open(&dead).unwrap()); // which is what it waits for
        settled(calls);
        assert!(calls.begin(&dead, Instant::now()).is_ok(), "it is read again");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn other_files_are_read_beside_it_and_it_is_tried_again_later() {
        let calls = calls(SOON);
        let _go = hang(calls, "/dead/key");
        let now = Instant::now();
        assert!(calls.begin(Path::new("/alive"), now).is_ok());
        assert!(calls.begin(Path::new("/dead/key"), now).is_err());
        assert!(calls.begin(Path::new("/dead/key"), now + AGAIN).is_ok());
    }

    #[test]
    fn only_few_are_left_behind() {
        let calls = calls(SOON);
        let hung: Vec<_> = (0..FEW).map(|nth| hang(calls, &format!("/dead/{nth}"))).collect();
        let refused = calls.call(Path::new("/alive"), || Ok(())).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ResourceBusy);
        assert_eq!(calls.lock().calls.len(), FEW);
        drop(hung);
        settled(calls);
        assert!(calls.begin(Path::new("/alive"), Instant::now()).is_ok());
    }

    #[test]
    fn a_call_that_panics_leaves_nothing_behind() {
        let calls = calls(LATE);
        let failed = calls.call(Path::new("/x"), || -> io::Result<()> { panic!("on purpose") });
        assert!(failed.is_err());
        settled(calls);
    }

    #[test]
    fn regular_files_are_read_also_by_a_link_and_nothing_else_is() {
        let folder = folder("kinds");
        let at = |name: &str| folder.join(name);
        std::fs::write(at("key"), "k").unwrap();
        symlink("key", at("link")).unwrap();
        std::fs::write(at("large"), vec![0; LARGEST as usize + 1]).unwrap();
        make_fifo(&at("fifo"));
        symlink("fifo", at("to-fifo")).unwrap();
        assert_eq!(read_file(&at("key")).unwrap(), b"k");
        assert_eq!(read_file(&at("link")).unwrap(), b"k");
        let refused = |path: &Path| {
            let error = read_file(path).unwrap_err();
            (error.kind(), error.to_string())
        };
        let irregular =
            |what| (ErrorKind::InvalidInput, format!("it is {what}, not a regular file"));
        assert_eq!(refused(&at("fifo")), irregular("a FIFO or a pipe"));
        assert_eq!(refused(&at("to-fifo")), irregular("a FIFO or a pipe"));
        assert_eq!(refused(&folder), irregular("a folder"));
        assert_eq!(refused(Path::new("/dev/zero")), irregular("a device or a socket"));
        assert_eq!(refused(&at("large")).0, ErrorKind::FileTooLarge);
        assert_eq!(refused(&at("none")).0, ErrorKind::NotFound);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
