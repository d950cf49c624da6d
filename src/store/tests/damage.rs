//! Files that are no store, or are one no more.

use std::fs;
use std::os::unix::fs::FileExt;

use super::*;

/// Some that are written, in enough pages that one can be hit.
fn filled(folder: &Path) -> PathBuf {
    let source = Counting::default();
    let mut store = begin(folder, &source, at("2026-11-28", 12, 0, 0));
    for client in 0..2_000 {
        source.charge(&format!("client-{client}"), "m", 1);
    }
    write(&mut store, &source, at("2026-11-28", 12, 0, 0));
    folder.join("usage.redb")
}

/// What a start says; nothing where it starts.
fn start(folder: &Path) -> Option<String> {
    Store::open_at(folder, at("2026-11-28", 17, 1, 2)).err().map(|error| error.to_string())
}

fn refused_and_set_aside(what: &str, damage: impl Fn(&Path)) {
    let folder = scratch();
    let file = filled(&folder);
    damage(&file);
    let damaged = fs::read(&file).unwrap();
    let said = start(&folder).unwrap_or_else(|| panic!("{what}: it starts"));
    let aside = folder.join("usage.redb.damaged-2026-11-28T170102Z");
    assert!(
        said.contains("is damaged") && said.contains(aside.to_str().unwrap()),
        "{what}: {said}"
    );
    assert!(said.contains("backup"), "{what}: it says what to do: {said}");
    assert_eq!(fs::read(&aside).unwrap().len(), damaged.len(), "{what}: it lies there");
    // A supervisor that starts it again does not make it begin anew.
    let said = start(&folder).unwrap_or_else(|| panic!("{what}: it begins anew"));
    assert!(said.contains("was set aside") && said.contains(aside.to_str().unwrap()), "{said}");
    let printed = offline(&folder, query("2026-11-01", "2026-11-30", "client", Format::Table));
    assert!(matches!(printed, Err(StoreError::SetAside { .. })), "{what}: {printed:?}");
    // The operator decides.
    fs::remove_file(aside).unwrap();
    assert_eq!(start(&folder), None, "{what}");
}

#[test]
fn a_damaged_database_is_set_aside_and_nothing_begins_anew_in_silence() {
    refused_and_set_aside("empty", |file| fs::write(file, "").unwrap());
    refused_and_set_aside("not a database", |file| fs::write(file, vec![b'x'; 9_000]).unwrap());
    refused_and_set_aside("cut in half", |file| {
        let file = fs::OpenOptions::new().write(true).open(file).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    });
    refused_and_set_aside("zeros from the second page on", |file| {
        let file = fs::OpenOptions::new().write(true).open(file).unwrap();
        let length = usize::try_from(file.metadata().unwrap().len()).unwrap() - 4_096;
        file.write_all_at(&vec![0; length], 4_096).unwrap();
    });
}

#[test]
fn a_backup_in_its_place_is_what_is_started_with() {
    let folder = scratch();
    let file = filled(&folder);
    let backup = fs::read(&file).unwrap();
    fs::write(&file, "no").unwrap();
    assert!(start(&folder).is_some());
    fs::write(&file, backup).unwrap();
    assert_eq!(start(&folder), None);
    assert_eq!(lines(&folder, "2026-11-28", "2026-11-28", "").len(), 1);
}

/// Bytes anywhere in the pages: what is found there is refused or right, and nothing panics.
#[test]
fn no_byte_that_is_another_is_read_as_usage() {
    let folder = scratch();
    let file = filled(&folder);
    let whole = fs::read(&file).unwrap();
    let right = lines(&folder, "2026-11-28", "2026-11-28", "client");
    let (mut refused, step) = (0, whole.len() / 40);
    for place in (0..40).map(|nth| nth * step + 1_000) {
        let mut other = whole.clone();
        other[place..place + 64].iter_mut().for_each(|byte| *byte ^= 0xff);
        fs::write(&file, other).unwrap();
        let Some(said) = start(&folder) else {
            assert_eq!(lines(&folder, "2026-11-28", "2026-11-28", "client"), right, "at {place}");
            continue;
        };
        refused += 1;
        assert!(said.contains("damaged"), "{said}");
        let aside = folder.join("usage.redb.damaged-2026-11-28T170102Z");
        fs::remove_file(aside).unwrap();
    }
    assert!(refused > 5, "{refused}: some of the pages are in use");
}

#[test]
fn another_format_is_refused_and_stays_where_it_is() {
    let folder = scratch();
    let file = filled(&folder);
    let other = redb::Database::open(&file).unwrap();
    let transaction = other.begin_write().unwrap();
    let about = redb::TableDefinition::<&str, u64>::new("about");
    transaction.open_table(about).unwrap().insert("format", 2).unwrap();
    transaction.commit().unwrap();
    drop(other);
    let said = start(&folder).unwrap();
    assert!(said.contains("has format 2") && said.contains("start the version"), "{said}");
    assert!(file.exists());
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let folder = scratch();
    let missing = folder.join("missing").join("store");
    let said = start(&missing).unwrap();
    assert!(said.contains("cannot create the folder") && said.contains("missing/store"), "{said}");
    fs::write(&folder, "a file").unwrap();
    let said = start(&folder).unwrap();
    assert!(said.contains(folder.to_str().unwrap()), "{said}");
    let printed = offline(&missing, query("2026-11-01", "2026-11-30", "client", Format::Table));
    assert!(printed.unwrap_err().to_string().contains("there is none in"));
}

#[test]
fn a_journal_that_makes_no_sense_is_set_aside_and_said() {
    let folder = scratch();
    let _file = filled(&folder);
    let journal = folder.join("journal-000000000000001-7.jsonl");
    fs::write(&journal, "{\"day\":\"no\"}\n").unwrap();
    assert_eq!(start(&folder), None);
    assert!(!journal.exists());
    assert!(folder.join("journal-000000000000001-7.jsonl.damaged-2026-11-28T170102Z").exists());
}
