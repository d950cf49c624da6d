//! What Redis replies, read without trust: what has another shape is nothing.

use redis::Value;

/// The id of an entry of a Redis stream: two numbers, in order.
pub(in crate::fanout) type EntryId = (u64, u64);

/// An entry of a Redis stream.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::fanout) struct Entry {
    pub(in crate::fanout) id: EntryId,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// The first field of this name.
    pub(in crate::fanout) fn get(&self, name: &str) -> Option<&[u8]> {
        let mut fields = self.fields.iter();
        fields.find(|(known, _)| known == name.as_bytes()).map(|(_, value)| &**value)
    }

    /// The same where it is text.
    pub(in crate::fanout) fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }
}

/// As Redis writes it.
pub(in crate::fanout) fn shown(id: EntryId) -> String {
    format!("{}-{}", id.0, id.1)
}

/// Of XRANGE and XREVRANGE.
pub(in crate::fanout) fn entries(value: Value) -> Option<Vec<Entry>> {
    match value {
        Value::Array(all) => all.into_iter().map(entry).collect(),
        Value::Nil => Some(Vec::new()),
        _ => None,
    }
}

/// Of XREAD: each key that has something, with that. RESP2 says it in arrays, RESP3 in a map.
pub(in crate::fanout) fn by_key(value: Value) -> Option<Vec<(String, Vec<Entry>)>> {
    let pairs = match value {
        Value::Nil => Vec::new(),
        Value::Map(pairs) => pairs,
        Value::Array(all) => all.into_iter().map(pair).collect::<Option<_>>()?,
        _ => return None,
    };
    let read = |(key, value): (Value, Value)| Some((text(&key)?.to_owned(), entries(value)?));
    pairs.into_iter().map(read).collect()
}

/// Of HGETALL.
pub(in crate::fanout) fn fields(value: Value) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    match value {
        Value::Nil => Some(Vec::new()),
        Value::Map(pairs) => {
            pairs.into_iter().map(|(name, value)| Some((bytes(name)?, bytes(value)?))).collect()
        }
        Value::Array(all) if all.len() % 2 == 0 => {
            let mut all = all.into_iter();
            let mut pairs = Vec::with_capacity(all.len() / 2);
            while let (Some(name), Some(value)) = (all.next(), all.next()) {
                pairs.push((bytes(name)?, bytes(value)?));
            }
            Some(pairs)
        }
        _ => None,
    }
}

/// A text, however it came.
pub(in crate::fanout) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// `MS-SEQ`.
pub(in crate::fanout) fn id(text: &str) -> Option<EntryId> {
    let (first, second) = text.split_once('-')?;
    Some((first.parse().ok()?, second.parse().ok()?))
}

fn entry(value: Value) -> Option<Entry> {
    let (head, body) = pair(value)?;
    Some(Entry { id: id(text(&head)?)?, fields: fields(body)? })
}

fn pair(value: Value) -> Option<(Value, Value)> {
    let Value::Array(two) = value else { return None };
    let two: [Value; 2] = two.try_into().ok()?;
    Some(two.into())
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn entries_are_read_in_the_shape_of_both_protocols_and_nothing_else_is() {
        let entry = || Value::Array(vec![bulk("7-1"), Value::Array(vec![bulk("b"), bulk("x")])]);
        let resp2 = Value::Array(vec![Value::Array(vec![bulk("k"), Value::Array(vec![entry()])])]);
        let resp3 = Value::Map(vec![(bulk("k"), Value::Array(vec![entry()]))]);
        for value in [resp2, resp3] {
            let read = by_key(value).expect("it is one");
            assert_eq!((&*read[0].0, read[0].1[0].id), ("k", (7, 1)));
            assert_eq!(read[0].1[0].text("b"), Some("x"));
            assert_eq!(read[0].1[0].get("o"), None);
        }
        assert_eq!(by_key(Value::Nil), Some(Vec::new()));
        for wrong in [
            Value::Int(1),
            Value::Array(vec![bulk("k")]),
            Value::Array(vec![Value::Array(vec![bulk("k"), Value::Array(vec![bulk("7-1")])])]),
        ] {
            assert_eq!(by_key(wrong), None);
        }
        for wrong in ["", "7", "7-", "-1", "7-x", "7-1-1"] {
            assert_eq!(id(wrong), None, "{wrong}");
        }
    }
}
