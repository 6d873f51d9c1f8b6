import Glibc
import Recordings

/// Some rows of a recording on their way to the workers of a ``RowFan``, and what those made of them on its way back.
///
/// Owned by the reader until it is sealed and again once every part is done; each part belongs to its worker between.
final class RowBatch<Output: Sendable>: @unchecked Sendable {
  // Unchecked: handed from thread to thread through a queue's and the lock's mutex, as said above.

  /// By worker.
  let parts: [RowPart<Output>]
  private(set) var names = RowNames()
  private(set) var count = 0
  /// Of its rows and cells.
  private(set) var bytes = 0
  private let unfinished = WaitingLock(0)

  init(parts count: Int) { parts = (0..<count).map { _ in RowPart() } }

  func add(_ row: RecordedRow, position: UInt64, to part: Int) {
    parts[part].add(row, position: position, place: count)
    count += 1
    bytes += MemoryLayout<RowPart<Output>.Row>.stride + row.cells.count * MemoryLayout<RecordedCell>.stride
  }

  func add(_ event: FannedEvent, position: UInt64, to part: Int) {
    parts[part].add(event, position: position, place: count)
    count += 1
    bytes += MemoryLayout<RowPart<Output>.Row>.stride + MemoryLayout<FannedEvent>.stride
  }

  /// No more rows: the batch goes to the workers.
  func seal(names: RowNames) {
    self.names = names
    unfinished.change { $0 = parts.count }
  }

  func partIsDone() { unfinished.change { $0 -= 1 } }

  var isDone: Bool { unfinished.change { $0 == 0 } }

  func waitUntilDone() { unfinished.wait { $0 == 0 ? () : nil } }

  /// Gives the outputs of all parts in the order of the rows they came from.
  func forEachOutput(_ body: (Output) -> Void) {
    var next = [Int](repeating: 0, count: parts.count)
    while true {
      var first = -1
      for part in parts.indices where next[part] < parts[part].places.count {
        if first < 0 || parts[part].places[next[part]] < parts[first].places[next[first]] { first = part }
      }
      guard first >= 0 else { return }
      body(parts[first].outputs[next[first]])
      next[first] += 1
    }
  }

  func clear() {
    for part in parts { part.clear() }
    names = RowNames()
    count = 0
    bytes = 0
  }
}

/// One worker's rows of a batch.
final class RowPart<Output: Sendable> {
  struct Row {
    var position: UInt64
    var time: Int64
    var sequence: Int64
    var ingestTime: Int64
    /// Position among the batch's rows.
    var place: UInt32
    /// Of its first cell; of the event, where there are no cells.
    var first: UInt32
    var cellCount: UInt32
    var patient: UInt32
    var device: UInt32
    var tenant: UInt32
  }

  enum Entry {
    case row(RecordedRow)
    case event(FannedEvent)
  }

  private var rows: [Row] = []
  private var cells: [RecordedCell] = []
  private var events: [FannedEvent] = []
  private(set) var outputs: [Output] = []
  /// For each output, the row it came from.
  private(set) var places: [UInt32] = []

  func add(_ row: RecordedRow, position: UInt64, place: Int) {
    rows.append(
      Row(
        position: position, time: row.time, sequence: row.sequence, ingestTime: row.ingestTime, place: UInt32(place),
        first: UInt32(cells.count), cellCount: UInt32(row.cells.count), patient: row.patient, device: row.device,
        tenant: row.tenant))
    cells.append(contentsOf: row.cells)
  }

  func add(_ event: FannedEvent, position: UInt64, place: Int) {
    rows.append(
      Row(
        position: position, time: event.event.time, sequence: RecordedRow.absent, ingestTime: RecordedRow.absent,
        place: UInt32(place), first: UInt32(events.count), cellCount: 0, patient: event.patient, device: event.device,
        tenant: 0))
    events.append(event)
  }

  /// Gives every entry to `body`, which appends what it makes of it.
  func forEachEntry(_ body: (Entry, UInt64, inout [Output]) -> Void) {
    cells.withUnsafeBufferPointer { cells in
      for row in rows {
        if row.cellCount == 0 {
          body(.event(events[Int(row.first)]), row.position, &outputs)
        } else {
          let own = UnsafeBufferPointer(rebasing: cells[Int(row.first)..<Int(row.first + row.cellCount)])
          let whole = RecordedRow(
            patient: row.patient, device: row.device, tenant: row.tenant, time: row.time, sequence: row.sequence,
            ingestTime: row.ingestTime, cells: own)
          body(.row(whole), row.position, &outputs)
        }
        while places.count < outputs.count { places.append(row.place) }
      }
    }
  }

  func clear() {
    rows.removeAll(keepingCapacity: true)
    cells.removeAll(keepingCapacity: true)
    events.removeAll()
    outputs.removeAll(keepingCapacity: true)
    places.removeAll(keepingCapacity: true)
  }
}

/// Names the reader met since the last batch, by table, in the order of their numbers.
struct RowNames: Sendable {
  /// How many of each table have been sent.
  struct Count {
    var patients = 0
    var devices = 0
    var tenants = 0
    /// The empty text has its number from the start.
    var sources = 1
  }

  private var patients: [String] = []
  private var devices: [String] = []
  private var tenants: [String] = []
  private var sources: [String] = []

  init() {}

  init(of names: RecordingNames, since count: inout Count) {
    // Copies: a slice of the reader's own table would make its next name copy all of them.
    patients = Array(names.patients.texts[count.patients...])
    devices = Array(names.devices.texts[count.devices...])
    tenants = Array(names.tenants.texts[count.tenants...])
    sources = Array(names.sources.texts[count.sources...])
    count.patients += patients.count
    count.devices += devices.count
    count.tenants += tenants.count
    count.sources += sources.count
  }

  /// Numbers them in a worker's own tables as they are in the reader's.
  func add(to names: RecordingNames) {
    for text in patients { _ = names.patients.number(of: text) }
    for text in devices { _ = names.devices.number(of: text) }
    for text in tenants { _ = names.tenants.number(of: text) }
    for text in sources { _ = names.sources.number(of: text) }
  }
}

/// Batches for one worker, oldest first; nil: there will be no more.
final class BatchQueue<Output: Sendable>: Sendable {
  private let batches = WaitingLock<[RowBatch<Output>?]>([])

  func put(_ batch: RowBatch<Output>?) { batches.change { $0.append(batch) } }

  /// The next batch; waits for one.
  func take() -> RowBatch<Output>? {
    batches.wait { (waiting: inout [RowBatch<Output>?]) -> RowBatch<Output>?? in
      waiting.isEmpty ? nil : .some(waiting.removeFirst())
    }
  }
}

/// A value under a mutex that threads can wait for to change.
final class WaitingLock<Value>: @unchecked Sendable {
  // Unchecked: `value` is read and written under `mutex` alone.
  private var value: Value
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let changed: UnsafeMutablePointer<pthread_cond_t>

  init(_ value: Value) {
    self.value = value
    mutex = .allocate(capacity: 1)
    changed = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(changed, nil)
  }

  deinit {
    pthread_cond_destroy(changed)
    pthread_mutex_destroy(mutex)
    changed.deallocate()
    mutex.deallocate()
  }

  /// Changes the value and wakes everybody who waits for it.
  func change<Result>(_ body: (inout Value) -> Result) -> Result {
    pthread_mutex_lock(mutex)
    defer {
      pthread_cond_broadcast(changed)
      pthread_mutex_unlock(mutex)
    }
    return body(&value)
  }

  /// Waits until `body` gives a result.
  func wait<Result>(_ body: (inout Value) -> Result?) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      if let result = body(&value) { return result }
      pthread_cond_wait(changed, mutex)
    }
  }
}
