// Server-sent events that come back by themselves and say so when they are gone.
//
// follow("/api/1/events", { state: (value) => …, alarm: (value) => … }, (link) => …)
//
// Each handler gets the JSON of the event of its name, and the event's id. `link` is "here" or "lost"; it is also
// written to <html data-link>. After a loss the stream is asked for again with the id of the last event seen: the
// browser sends Last-Event-ID when it reconnects by itself, a new stream carries ?last_event_id=. A server that sends
// events named "beat" is taken for lost when it is silent for three beats.

const BEAT_MS = 10_000;
const SILENCE_MS = 3 * BEAT_MS;
const RETRY_MS = [500, 1_000, 2_000, 5_000];

export function follow(url, handlers, onLink = () => {}) {
  let source = null;
  let last = "";
  let failures = 0;
  let silence = 0;
  let retry = 0;
  let beats = false;

  function say(link) {
    if (document.documentElement.dataset.link === link) return;
    document.documentElement.dataset.link = link;
    onLink(link);
  }

  function heard(event) {
    if (event?.lastEventId) last = event.lastEventId;
    failures = 0;
    say("here");
    clearTimeout(silence);
    if (beats) silence = setTimeout(again, SILENCE_MS);
  }

  function again() {
    say("lost");
    source?.close();
    clearTimeout(silence);
    clearTimeout(retry);
    retry = setTimeout(open, RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
  }

  function open() {
    const address = new URL(url, location.href);
    if (last) address.searchParams.set("last_event_id", last);
    source = new EventSource(address);
    source.onopen = () => heard(null);
    source.onerror = () => (source.readyState === EventSource.CLOSED ? again() : say("lost"));
    source.addEventListener("beat", (event) => { beats = true; heard(event); });
    for (const [name, handler] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => { heard(event); handler(JSON.parse(event.data), event.lastEventId); });
    }
  }

  open();
  return () => { source?.close(); clearTimeout(silence); clearTimeout(retry); };
}
