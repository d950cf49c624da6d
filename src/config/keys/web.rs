//! The keys of who may ask, beside programs that reach a listener.

use crate::config::key::Key;
use crate::config::kind::many::Many;
use crate::config::kind::secret::Secret;
use crate::config::web::{Host, Origin};

pub(in crate::config) static ADMIN_TOKEN: Key<Secret> = Key::new(
    "admin_token",
    Secret,
    "Bearer token that `POST /reload` then needs, beside the header `x-firstbyte-admin`. Without one it is \
     refused where `admin` is not on loopback.",
);
pub(in crate::config) static ALLOWED_HOSTS: Key<Many<Host>> = Key::new(
    "allowed_hosts",
    Many(Host),
    "Names by which listeners on loopback may be asked, beside `localhost`, `*.localhost` and loopback \
     addresses; `*` for any. Other listeners take any name.",
);
pub(in crate::config) static ALLOWED_ORIGINS: Key<Many<Origin>> = Key::new(
    "allowed_origins",
    Many(Origin),
    "Web pages that may use `listen`, by their origin, such as `https://chat.example`; `*` for all. CORS is \
     then answered for them. Pages never reach `admin`.",
);
