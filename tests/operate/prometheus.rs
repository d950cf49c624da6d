//! What Prometheus itself says of `/metrics`.

use std::process::Command;

use loadtest::upstream::Upstream;

use crate::support::fixture::Fixture;

#[test]
fn promtool_has_no_objection_and_a_real_prometheus_stores_every_metric() {
    let fixture = Fixture::start(Upstream::builder());
    let admin = fixture.proxy.admin().expect("the admin listener is on");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/promcheck");
    let checked = Command::new(script)
        .arg(format!("http://{admin}"))
        .output()
        .expect("the script can be run");
    let said = String::from_utf8_lossy(&checked.stdout).into_owned()
        + &String::from_utf8_lossy(&checked.stderr);
    println!("{said}");
    assert!(checked.status.success(), "{said}");
}
