//! Names of keys in Redis. All have one hash tag, so that a cluster has them in one slot: one blocking command waits for
//! all that a process follows, and a slot is what such a command may span.

use crate::events::Key;
use crate::streams::StreamId;

/// What all keys begin with, and whose process this is.
#[derive(Debug, Clone)]
pub(in crate::fanout) struct Keys {
    prefix: Box<str>,
    /// This process's name, which no other has.
    pub(in crate::fanout) me: Box<str>,
}

impl Keys {
    pub(in crate::fanout) fn new(prefix: &str, me: &str) -> Self {
        Self { prefix: format!("{{{prefix}}}:").into(), me: me.into() }
    }

    /// A stream's bytes: a Redis stream whose entries' ids are the offsets behind their bytes.
    pub(in crate::fanout) fn bytes(&self, id: StreamId) -> String {
        format!("{}s:{id}", self.prefix)
    }

    /// What a stream is: a hash.
    pub(in crate::fanout) fn meta(&self, id: StreamId) -> String {
        format!("{}m:{id}", self.prefix)
    }

    /// There while a process is.
    pub(in crate::fanout) fn alive(&self, instance: &str) -> String {
        format!("{}i:{instance}", self.prefix)
    }

    /// What a process is told: a Redis stream.
    pub(in crate::fanout) fn orders(&self, instance: &str) -> String {
        format!("{}q:{instance}", self.prefix)
    }

    /// Who is connected to a process.
    pub(in crate::fanout) fn present(&self, instance: &str) -> String {
        format!("{}c:{instance}", self.prefix)
    }

    /// All processes: a sorted set by the time until which each is taken to be there.
    pub(in crate::fanout) fn instances(&self) -> String {
        format!("{}instances", self.prefix)
    }

    /// A name's events: a Redis stream.
    pub(in crate::fanout) fn events(&self, key: &Key) -> String {
        format!("{}e:{}/{}", self.prefix, key.path, key.name)
    }

    /// All that a publish touches: the events, what the name is, ids that publishers chose, and the names of the route.
    pub(in crate::fanout) fn of_name(&self, key: &Key) -> [String; 4] {
        let of = |what: &str| format!("{}{what}:{}/{}", self.prefix, key.path, key.name);
        [of("e"), of("n"), of("u"), format!("{}t:{}", self.prefix, key.path)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Name;

    #[test]
    fn all_keys_have_the_same_hash_tag_and_no_two_names_have_the_same() {
        let keys = Keys::new("firstbyte", "me");
        let key = |path: &str, name: &str| Key {
            path: path.into(),
            name: Name::parse(name).expect("a name"),
        };
        let id = StreamId::random().expect("random bytes");
        let mut all = vec![
            keys.bytes(id),
            keys.meta(id),
            keys.alive("x"),
            keys.orders("x"),
            keys.present("x"),
            keys.instances(),
        ];
        for (path, name) in [("/a", "b"), ("/a", "a:b"), ("/a/a:b", "b"), ("/", "b")] {
            let of = keys.of_name(&key(path, name));
            assert_eq!(of[0], keys.events(&key(path, name)));
            all.extend_from_slice(&of[..3]);
        }
        assert!(all.iter().all(|key| key.starts_with("{firstbyte}:")), "{all:?}");
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
