import Foundation
import Recordings

/// One worker's share of a recording: made and read again by the thread that owns the fan, used by one thread between.
package protocol RowWorker: AnyObject, SendableMetatype {
  /// What is handed back in the order of the rows; `Never` if nothing is.
  associatedtype Output: Sendable

  /// Takes a row of one of its own patients; they come in the order of the input.
  ///
  /// - Parameters:
  ///   - row: with the reader's own numbers; its cells are valid within the call.
  ///   - names: of everybody the reader has met so far.
  ///   - position: where the row stands in the journal, > 0 and rising; the same for any number of workers. The row has
  ///     this position and as many after it as it has cells.
  func take(_ row: RecordedRow, names: RecordingNames, position: UInt64, _ outputs: inout [Output])

  /// Takes an alarm of a device, in the order of the input with the rows.
  func take(_ event: FannedEvent, names: RecordingNames, position: UInt64, _ outputs: inout [Output])
}

extension RowWorker {
  package func take(_ event: FannedEvent, names: RecordingNames, position: UInt64, _ outputs: inout [Output]) {}
}

/// A device's own alarm with the numbers of its names.
package struct FannedEvent: Sendable {
  package var event: RecordedEvent
  package var patient: UInt32
  package var device: UInt32
}

/// One reader, many workers: rows go to the workers by patient, and what they make of them comes back in the order of the
/// rows, so that nothing depends on how many workers there are.
///
/// The thread that owns the fan reads, and gives the outputs to the sink; it waits where ``bytesMax`` of rows are under way.
/// With one worker everything happens on that thread.
package final class RowFan<Worker: RowWorker> {
  /// By patient number modulo their count. To be used after ``settle()`` or ``finish()`` only.
  package let workers: [Worker]

  /// Rows handed over at once: long enough that handing over costs nothing, short against what is under way.
  static var batchRows: Int { 4096 }
  static var batchBytes: Int { 2 << 20 }
  /// What may be under way before the reader waits, bytes: in a recording grouped by patient the workers are busy as long as this holds more
  /// patients than one.
  static var bytesMax: Int { 64 << 20 }

  private let sink: (Worker.Output) -> Void
  @exclusivity(unchecked) private var lanes: [Lane] = []
  @exclusivity(unchecked) private var position: UInt64 = 1
  /// The reader's names, whose new ones go with every batch.
  @exclusivity(unchecked) private var names: RecordingNames?
  private var sentNames = RowNames.Count()
  @exclusivity(unchecked) private var batch: RowBatch<Worker.Output>
  @exclusivity(unchecked) private var underWay: [RowBatch<Worker.Output>] = []
  @exclusivity(unchecked) private var bytes = 0
  private var spare: [RowBatch<Worker.Output>] = []

  private struct Lane {
    var queue: BatchQueue<Worker.Output>
    var thread: DedicatedThread

    func end() {
      queue.put(nil)
      thread.join()
    }
  }

  /// A worker on its way to its thread and back.
  private struct Handed: @unchecked Sendable {
    // Unchecked: the thread is started after the worker was put in and joined before it is looked at again.
    var worker: Worker
  }

  /// - Parameters:
  ///   - threads: as many workers; fewer, with less of everything made, never: where the system has no thread to give, the
  ///     calling thread does all.
  ///   - sink: called on the calling thread, within ``take(_:names:)`` and ``finish()``.
  package init(threads: Int, make: (Int) -> Worker, sink: @escaping (Worker.Output) -> Void) {
    let count = max(1, threads)
    self.sink = sink
    var workers = (0..<count).map(make)
    batch = RowBatch(parts: count)
    if count > 1 {
      for (number, worker) in workers.enumerated() {
        let queue = BatchQueue<Worker.Output>()
        let handed = Handed(worker: worker)
        guard let thread = DedicatedThread({ RowFan.work(handed.worker, number, queue) }) else { break }
        lanes.append(Lane(queue: queue, thread: thread))
      }
      if lanes.count < count {
        for lane in lanes { lane.end() }
        lanes = []
        workers.removeLast(count - 1)
      }
    }
    self.workers = workers
  }

  deinit { for lane in lanes { lane.end() } }

  /// Hands a row to its patient's worker.
  package func take(_ row: RecordedRow, names: RecordingNames) {
    let own = position
    position += UInt64(row.cells.count) + 1
    guard !lanes.isEmpty else { return here { $0.take(row, names: names, position: own, &$1) } }
    batch.add(row, position: own, to: Int(row.patient) % lanes.count)
    endOfEntry(names)
  }

  /// Hands a device's alarm to its patient's worker; a name the recording does not have gets the next number.
  package func take(_ event: RecordedEvent, names: RecordingNames) {
    let device = event.device.isEmpty ? event.patient : event.device
    let fanned = FannedEvent(
      event: event, patient: names.patients.number(of: event.patient), device: names.devices.number(of: device))
    let own = position
    position += 1
    guard !lanes.isEmpty else { return here { $0.take(fanned, names: names, position: own, &$1) } }
    batch.add(fanned, position: own, to: Int(fanned.patient) % lanes.count)
    endOfEntry(names)
  }

  /// Waits until everything taken so far is done and its outputs are given to the sink; ``workers`` may be used until the
  /// next row.
  package func settle() {
    if batch.count > 0 { handOver() }
    while !underWay.isEmpty { collectFirst() }
  }

  /// Waits for the workers and gives the rest of their outputs to the sink; nothing may be taken afterwards.
  package func finish() {
    settle()
    for lane in lanes { lane.end() }
    lanes = []
  }

  /// Everything on the calling thread.
  private func here(_ body: (Worker, inout [Worker.Output]) -> Void) {
    var outputs: [Worker.Output] = []
    body(workers[0], &outputs)
    for output in outputs { sink(output) }
  }

  private func endOfEntry(_ names: RecordingNames) {
    self.names = names
    if batch.count >= RowFan.batchRows || batch.bytes >= RowFan.batchBytes { handOver() }
  }

  private func handOver() {
    batch.seal(names: names.map { RowNames(of: $0, since: &sentNames) } ?? RowNames())
    bytes += batch.bytes
    underWay.append(batch)
    for lane in lanes { lane.queue.put(batch) }
    batch = spare.popLast() ?? RowBatch(parts: lanes.count)
    while let first = underWay.first, bytes > RowFan.bytesMax || first.isDone { collectFirst() }
  }

  /// Waits for the oldest batch and gives its outputs to the sink.
  private func collectFirst() {
    let first = underWay.removeFirst()
    first.waitUntilDone()
    bytes -= first.bytes
    first.forEachOutput(sink)
    first.clear()
    spare.append(first)
  }

  private static func work(_ worker: Worker, _ number: Int, _ queue: BatchQueue<Worker.Output>) {
    let names = RecordingNames()
    while let batch = queue.take() {
      batch.names.add(to: names)
      batch.parts[number].forEachEntry { entry, position, outputs in
        switch entry {
        case .row(let row): worker.take(row, names: names, position: position, &outputs)
        case .event(let event): worker.take(event, names: names, position: position, &outputs)
        }
      }
      batch.partIsDone()
    }
  }
}

/// How many threads evaluate where nobody says.
package enum RowFanThreads {
  package static let limit = 64
  /// The processors this process may run on.
  package static var usual: Int { min(limit, max(1, ProcessInfo.processInfo.activeProcessorCount)) }
}
