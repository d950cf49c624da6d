//! Until when the listeners' certificates hold: shown, and said in time.

use std::time::{Duration, SystemTime};

use crate::config::{Config, Pair};
use crate::record::Hub;

/// Before a certificate's end it is said each day from then on. Those that renew themselves do so a month before
/// (ninety days) or some days before (a week): what is still in use by then was not renewed.
const WARN: Duration = Duration::from_secs(14 * DAY);

/// How often it is said.
pub(crate) const AGAIN: Duration = Duration::from_secs(DAY);

const DAY: u64 = 24 * 3600;

/// What is wrong with a certificate's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    NotYet,
    /// It ends in so many days.
    Soon(u64),
    Expired,
}

/// Shows them in the metrics, and warns of those that end soon.
pub(super) fn show(config: &Config, hub: &Hub) {
    hub.set_certificates(
        pairs(config).map(|pair| (pair.certificate.display().to_string(), pair.expires)).collect(),
    );
    warn(config);
}

/// Warns of those that end soon, or hold no more, or not yet.
pub(super) fn warn(config: &Config) {
    let now = SystemTime::now();
    for pair in pairs(config) {
        let (file, hint) = (pair.certificate.display(), "renew it, and reload");
        match wrong(pair, now) {
            None => {}
            Some(Wrong::NotYet) => tracing::warn!(
                %file,
                "TLS certificate is not valid yet: clients reject it; check the clock"
            ),
            Some(Wrong::Soon(days)) => {
                tracing::warn!(%file, days, "TLS certificate expires soon: {hint}");
            }
            Some(Wrong::Expired) => {
                tracing::error!(%file, "TLS certificate has expired: clients reject it; {hint}");
            }
        }
    }
}

fn pairs(config: &Config) -> impl Iterator<Item = &Pair> {
    config.listen.iter().filter_map(|listener| listener.tls.as_ref()).flat_map(|tls| &tls.pairs)
}

fn wrong(pair: &Pair, now: SystemTime) -> Option<Wrong> {
    if now < pair.begins {
        return Some(Wrong::NotYet);
    }
    match pair.expires.duration_since(now) {
        Err(_) => Some(Wrong::Expired),
        Ok(left) => (left < WARN).then_some(Wrong::Soon(left.as_secs() / DAY)),
    }
}

/// Which certificates of `after` are not those of `before`, by their files.
pub(super) fn renewed(before: &Config, after: &Config) -> Vec<String> {
    let new = |pair: &&Pair| !pairs(before).any(|then| then == *pair);
    pairs(after).filter(new).map(|pair| pair.certificate.display().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ProcessEnv, parse};

    fn of(begins: (i32, u8, u8), expires: (i32, u8, u8)) -> Config {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["a.test".into()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(begins.0, begins.1, begins.2);
        parameters.not_after = rcgen::date_time_ymd(expires.0, expires.1, expires.2);
        let certificate = parameters.self_signed(&key).unwrap();
        let folder = std::env::temp_dir();
        let name = |what| format!("firstbyte-{what}-{}-{}", std::process::id(), key_id(&key));
        std::fs::write(folder.join(name("c")), certificate.pem()).unwrap();
        std::fs::write(folder.join(name("k")), key.serialize_pem()).unwrap();
        let text = format!(
            "listen: [{{ address: 127.0.0.1:443, tls: {{ certificate: {}, private_key: {} }} }}]\n\
             upstreams: {{ a: {{ url: http://a }} }}\nroutes: [{{ path: /, upstream: a }}]\n",
            name("c"),
            name("k")
        );
        let config = parse(&folder.join("f.yaml"), text.as_bytes(), &ProcessEnv).unwrap();
        for name in [name("c"), name("k")] {
            std::fs::remove_file(folder.join(name)).unwrap();
        }
        config
    }

    fn key_id(key: &rcgen::KeyPair) -> u64 {
        key.public_key_raw().iter().fold(0, |all, byte| all.wrapping_mul(31) + u64::from(*byte))
    }

    #[test]
    fn it_is_said_from_two_weeks_before_the_end() {
        let config = of((2025, 1, 1), (2025, 6, 30));
        let pair = pairs(&config).next().unwrap();
        let before = |days: u64| pair.expires - Duration::from_secs(days * DAY);
        assert_eq!(wrong(pair, before(15)), None);
        assert_eq!(wrong(pair, before(14)), None, "exactly");
        assert_eq!(wrong(pair, before(13)), Some(Wrong::Soon(13)));
        assert_eq!(wrong(pair, pair.expires + Duration::from_secs(1)), Some(Wrong::Expired));
        assert_eq!(wrong(pair, pair.begins - Duration::from_secs(1)), Some(Wrong::NotYet));
    }

    #[test]
    fn what_is_renewed_is_known_by_its_certificate() {
        let (one, other) = (of((2025, 1, 1), (2025, 6, 30)), of((2025, 1, 1), (2025, 6, 30)));
        assert!(renewed(&one, &one).is_empty());
        assert_eq!(renewed(&one, &other).len(), 1);
    }
}
