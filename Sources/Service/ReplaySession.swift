import Pipeline
import Recordings
import VitalModel

/// A recording through the very intake and engine the live service runs, at full speed, its patients shared out between
/// threads. What it gives is the same for any number of them.
package final class ReplaySession {
  /// Which of its outputs a caller takes.
  package struct Wanted: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let told = Wanted(rawValue: 1)
    package static let held = Wanted(rawValue: 2)
    /// As lines of JSON, written by the thread that evaluates.
    package static let lines = Wanted(rawValue: 4)
  }

  package struct Options: Sendable {
    package var engine = EngineOptions(clock: .stream, recordsEvidence: false)
    /// nil: a recording names its patients itself.
    package var roster: Roster?
    package var tenant = "demo"
    package var from: Int64?
    package var to: Int64?
    /// Empty: everybody.
    package var patients: Set<String> = []
    /// At most so many; see ``ReplaySession/threads``.
    package var threads = RowFanThreads.usual
    package var wanted: Wanted = [.told]
    package init() {}

    /// Whether what happens to one patient may depend on others: signals behind a shared gateway, a unit's budget. Such
    /// patients cannot be shared out.
    package var joinsPatients: Bool {
      guard let roster else { return false }
      let outages = engine.alerting.outagePatients > 0 && !engine.without.contains(.grouping)
      return outages && roster.hasGateways
        || engine.alerting.unitBudget > 0 && roster.patients.contains { $0.unit != nil }
    }
  }

  /// How many threads evaluate: one where patients are joined (``Options/joinsPatients``).
  package let threads: Int
  private let options: Options
  private let fan: RowFan<ReplayWorker>
  /// Rows and alarms taken.
  package private(set) var entries = 0
  /// Where it goes on from, until it gets there.
  private var goal: ReplayProgress?
  /// The states of the progress it was to go on from could not be read back: nothing it gives from there on is right.
  package private(set) var hasFailedToResume = false
  private var patientCount = 0
  private var refusedBefore = 0
  private var refused: [QuarantineReason: Int] = [:]

  /// - Parameter sink: called on the calling thread, in the order of the rows, with what ``Options/wanted`` names.
  package init(plan: RulePlan, options: Options, sink: @escaping (ReplayOutput) -> Void) {
    self.options = options
    let wished = options.joinsPatients ? 1 : options.threads
    fan = RowFan(
      threads: wished, make: { _ in ReplayWorker(plan: plan, options: options) }, sink: sink)
    threads = fan.workers.count
  }

  /// Takes one row through intake and engine.
  package func take(_ row: RecordedRow, names: RecordingNames) {
    patientCount = max(patientCount, Int(row.patient) + 1)
    fan.take(row, names: names)
    endOfEntry()
  }

  /// One of the device's own alarms.
  package func take(_ event: RecordedEvent, names: RecordingNames) {
    fan.take(event, names: names)
    patientCount = max(patientCount, names.patients.count)
    endOfEntry()
  }

  private func endOfEntry() {
    entries += 1
    guard let goal, entries == goal.entries else { return }
    self.goal = nil
    fan.settle()
    for (worker, part) in zip(fan.workers, goal.parts) where !worker.restore(part) { hasFailedToResume = true }
  }

  // MARK: Going on later

  /// Whether rows taken now were evaluated by an earlier run.
  package var isCatchingUp: Bool { goal != nil }

  /// Goes on from there: the rows before are taken as before, from the first on, and not evaluated again.
  ///
  /// - Precondition: nothing was taken yet.
  /// - Returns: false where it was made with another number of threads.
  package func resume(from progress: ReplayProgress) -> Bool {
    precondition(entries == 0)
    guard progress.threads == threads, progress.entries > 0 else { return false }
    goal = progress
    for worker in fan.workers { worker.isCatchingUp = true }
    return true
  }

  /// How far it got; its outputs up to here have been given to the sink when this returns.
  ///
  /// - Precondition: it is not catching up.
  package func progress(identity: String) -> ReplayProgress {
    precondition(!isCatchingUp)
    fan.settle()
    return ReplayProgress(identity: identity, entries: entries, parts: fan.workers.map { $0.part() })
  }

  /// Counts what the reader could not read.
  package func note(_ refusal: RecordingRefusal) {
    guard refusal.reason != .unknownCode else { return }
    refusedBefore += refusal.cells
    refused[refusal.reason, default: 0] += refusal.cells
  }

  /// Nothing advances a patient past its last sample, at the end of input neither (SEMANTICS B1).
  ///
  /// - Parameter seconds: asked once every row is through.
  package func finish(seconds: @autoclosure () -> Double) -> Summary {
    fan.finish()
    var summary = Summary()
    var tally = ReplayTally()
    summary.samples = refusedBefore
    summary.quarantined = refusedBefore
    for worker in fan.workers {
      tally.add(worker.tally)
      refused.merge(worker.refused, uniquingKeysWith: +)
      summary.samples += Int(worker.intake.counts.seen)
      summary.stored += Int(worker.intake.counts.stored)
      summary.quarantined += Int(worker.intake.counts.quarantined)
      summary.duplicates += Int(worker.intake.counts.duplicates)
      summary.patients += worker.engine.footprint.patients
    }
    summary.quarantinedByReason = QuarantineReason.allCases.compactMap { reason in
      refused[reason].map { (reason.rawValue, $0) }
    }
    tally.complete(&summary)
    summary.stateHash = stateHash()
    summary.seconds = seconds()
    return summary
  }

  /// As one engine for all patients would give it: the workers' series are numbered in the order of their rows.
  private func stateHash() -> String {
    let workers = fan.workers
    var series = workers.map { [UInt32](repeating: 0, count: $0.seriesOrigins.count) }
    var next = [Int](repeating: 0, count: workers.count)
    var number: UInt32 = 0
    while true {
      var first = -1
      for worker in workers.indices where next[worker] < workers[worker].seriesOrigins.count {
        let origin = workers[worker].seriesOrigins[next[worker]]
        if first < 0 || origin < workers[first].seriesOrigins[next[first]] { first = worker }
      }
      guard first >= 0 else { break }
      series[first][next[first]] = number
      next[first] += 1
      number += 1
    }
    let numbers = zip(workers, series).map { $0.numbers(series: $1) }
    var hash = ReplayStateHash()
    for patient in 0..<patientCount {
      let worker = patient % workers.count
      guard let state = workers[worker].state(of: patient, numbers[worker]) else { continue }
      hash.add(tenant: state.key.tenant, patient: state.key.patient, state: state.bytes)
    }
    return hash.text()
  }
}
