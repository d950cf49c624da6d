//! What is held.

use super::*;

#[test]
fn it_holds_one_buffer_of_8_kib_and_nothing_of_the_body() {
    // So that a chunk can be let go of as soon as it is seen: none of it is borrowed or shared.
    fn keeps_nothing_of_what_it_is_given<T: 'static>(_: &T) {}
    let reader = UsageReader::of(Form::Events).unwrap();
    keeps_nothing_of_what_it_is_given(&reader);
    assert!(size_of::<UsageReader>() <= 192, "{}", size_of::<UsageReader>());
}

#[test]
fn an_observers_list_stays_small_for_who_does_not_want_it() {
    assert!(size_of::<crate::relay::observers::Observers>() <= 24);
}
