//! The files of a store, and their names.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use crate::algo::calendar::{DAY, Date};

/// The database.
const DATABASE: &str = "usage.redb";
/// What follows its name where it is damaged, before the date.
const DAMAGED: &str = ".damaged-";
/// Where journals' names begin, and end.
const JOURNAL: (&str, &str) = ("journal-", ".jsonl");
/// Where the process that has the store can be asked.
const ADMIN: &str = "admin.address";
/// Others of the machine need not see who uses how much.
const MODE: u32 = 0o700;

/// The database's file in a folder.
pub(super) fn database(folder: &Path) -> PathBuf {
    folder.join(DATABASE)
}

/// Makes the folder where it is missing, but not those above it: a path that leads nowhere is a mistake, or a disk that
/// is not mounted.
pub(super) fn make(folder: &Path) -> Result<(), StoreError> {
    match DirBuilder::new().mode(MODE).create(folder) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::Io("create the folder", folder.to_owned(), error)),
    }
}

/// Whether two paths lead to one folder.
pub fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// Moves a damaged file to a name that says when: it stays beside, so that nobody begins anew in silence.
pub(super) fn set_aside(file: &Path, unix: u64) -> io::Result<PathBuf> {
    let (date, second) = (Date::of(unix / DAY), unix % DAY);
    let time = format!("{:02}{:02}{:02}", second / 3600, second / 60 % 60, second % 60);
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!("{DAMAGED}{date}T{time}Z"));
    let aside = file.with_file_name(name);
    fs::rename(file, &aside)?;
    Ok(aside)
}

/// A database that was set aside; the one with the latest date.
pub(super) fn aside(folder: &Path) -> io::Result<Option<PathBuf>> {
    let begins = format!("{DATABASE}{DAMAGED}");
    let mut all = files(folder, |name| name.starts_with(&begins))?;
    Ok(all.pop())
}

/// What other processes left or still write, the oldest first.
pub(super) fn journals(folder: &Path) -> io::Result<Vec<PathBuf>> {
    files(folder, |name| name.starts_with(JOURNAL.0) && name.ends_with(JOURNAL.1))
}

/// A name for a journal that no other process has, in any container.
pub(super) fn journal(folder: &Path, unix_ms: u64) -> PathBuf {
    let (begins, ends) = JOURNAL;
    folder.join(format!("{begins}{unix_ms:015}-{}{ends}", std::process::id()))
}

fn files(folder: &Path, meant: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&meant) {
            all.push(entry.path());
        }
    }
    all.sort();
    Ok(all)
}

/// A file's name; empty for what has none.
pub(super) fn name(file: &Path) -> String {
    file.file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned()
}

/// Has new names survive a loss of power.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Says where this process can be asked while it has the store; without an admin listener nowhere.
pub(super) fn tell_admin(folder: &Path, admin: Option<SocketAddr>) -> io::Result<()> {
    let file = folder.join(ADMIN);
    match admin {
        Some(address) => fs::write(file, format!("{address}\n")),
        None => match fs::remove_file(file) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
    }
}

/// The admin listener of the process that has the store, as this machine reaches it. Worth something only while one has
/// it.
pub fn running_at(folder: &Path) -> Option<SocketAddr> {
    let text = fs::read_to_string(folder.join(ADMIN)).ok()?;
    let mut address: SocketAddr = text.trim().parse().ok()?;
    if address.ip().is_unspecified() {
        let loopback = match address.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        address.set_ip(loopback);
    }
    Some(address)
}
