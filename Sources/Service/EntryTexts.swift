import Evaluation
import Pipeline
import Synchronization
import VitalModel

/// What a text entry means to the evaluators, parsed once where it is sequenced.
enum EntryText: Sendable {
  /// Number of the roster in the directory.
  case roster(Int)
  case rules(PlanLayout)
  case alarm(DeviceAlarm)
  case action(AlertAction)
  case alerting(AlertingSettings)
  /// A heartbeat's canary came through: its number and when it set out.
  case canary(number: Int64, sentAt: Int64)
}

/// Texts on their way from the journal thread to every evaluator, by journal position.
///
/// Bounded by the ring: an entry is put before its slot is published and goes when the last shard has taken it.
final class EntryTexts: Sendable {
  private let waiting = Mutex<[UInt64: (text: EntryText, readers: Int)]>([:])

  func put(_ text: EntryText, at position: UInt64, readers: Int) {
    waiting.withLock { $0[position] = (text, readers) }
  }

  /// - Returns: also whether every other evaluator it is for has taken it already.
  func take(at position: UInt64) -> (text: EntryText, isLast: Bool)? {
    waiting.withLock { waiting in
      guard let entry = waiting[position] else { return nil }
      waiting[position] = entry.readers > 1 ? (entry.text, entry.readers - 1) : nil
      return (entry.text, entry.readers <= 1)
    }
  }
}

/// A device's alarm as the journal keeps it.
struct StoredAlarm: Codable {
  var event: String
  var ended: Bool
  var priority: String

  init(_ alarm: DeviceAlarm) {
    event = alarm.event
    ended = alarm.hasEnded
    priority = alarm.priority.text
  }

  var alarm: DeviceAlarm {
    DeviceAlarm(event: event, hasEnded: ended, priority: Priority(text: priority) ?? .medium)
  }
}

/// When each shard's next deadline is due, so that the journal thread writes a clock entry only when one is
/// (SEMANTICS B2). Milliseconds of engine time; `Int64.max`: none.
final class DeadlineBoard: Sendable {
  private let due: [AtomicTime]

  init(shards: Int) { due = (0..<shards).map { _ in AtomicTime(.max) } }

  var earliest: Int64 { due.map(\.value).min() ?? .max }

  /// - Returns: whether the shard's deadline moved to an earlier time.
  func set(_ time: Int64?, shard: Int) -> Bool {
    let new = time ?? .max
    let old = due[shard].value
    due[shard].value = new
    return new < old
  }
}

/// One time shared between threads.
final class AtomicTime: Sendable {
  private let storage: Atomic<Int64>
  init(_ value: Int64) { storage = Atomic(value) }
  var value: Int64 {
    get { storage.load(ordering: .acquiring) }
    set { storage.store(newValue, ordering: .releasing) }
  }
}
