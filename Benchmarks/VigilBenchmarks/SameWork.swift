import Configuration
import Evaluation
import Foundation
import Recordings
import RuleLanguage
import Suppression
import VitalModel

/// The work every peer of the comparison does, done by Vigil's rooms: JSON lines in, alert lines out.
///
/// A patient and vital: mean, minimum, maximum and count of `[e - 60 s, e)` at every multiple `e` of 10 s of event time, an
/// alert once the mean has been beyond its limit for 30 s of windows, one an episode. What is judged and how long it must
/// hold is in `Benchmarks/samework/rules`, read by `RuleLanguage`; lines are read by `Recordings`, windows and conditions are
/// `Evaluation`'s, persistence is `Suppression`'s. The loop here only decides when windows end: the comparison evaluates every
/// series at the end of every window by the input's own time, whether or not a sample of it came since.
final class SameWork {
  private let layout: PlanLayout
  private let machine = ExpressionMachine()
  private let reader: RecordingReader
  private let table: SameWorkTable
  private let timings: [EpisodeTiming]
  /// Milliseconds between the ends of windows: of all rules the same.
  private let every: Int64
  private let length: Int64
  /// The alert lines.
  @exclusivity(unchecked) private(set) var lines: [UInt8] = []
  @exclusivity(unchecked) private(set) var samples = 0
  @exclusivity(unchecked) private(set) var alerts = 0
  @exclusivity(unchecked) private(set) var refused = 0

  init(rules: String, input: String) throws {
    let registry = try VitalRegistryFile.parse(
      try String(contentsOfFile: rules + "/vitals.yaml", encoding: .utf8), file: rules + "/vitals.yaml")
    let path = rules + "/means.yaml"
    let sources = [RuleSource(path: "means.yaml", text: try String(contentsOfFile: path, encoding: .utf8))]
    let plan = try RuleLibrary.plan(sources: sources, set: nil, registry: registry, directory: rules)
    layout = PlanLayout(plan: plan)
    table = SameWorkTable(layout)
    timings = plan.rules.map { EpisodeTiming(hold: $0.hold, window: max($0.maxHold, $0.hold), clearFor: $0.clearFor) }
    let shapes = Set(plan.rules.flatMap(\.features).map(\.window))
    guard case .hopping(let length, let every)? = shapes.first, shapes.count == 1 else { throw SameWorkError.windows }
    self.every = every
    self.length = length
    reader = RecordingReader([RecordingFile(path: input)], registry: registry)
  }

  func run() throws {
    var end = Int64.min
    try reader.forEach { row in
      if row.time >= end {
        if end == .min { end = row.time - row.time % every + every }
        while row.time >= end {
          close(end)
          end += every
        }
      }
      for cell in row.cells { take(cell, of: row) }
      return true
    }
    refused = reader.counts.samples - reader.counts.cells
  }

  private func take(_ cell: RecordedCell, of row: RecordedRow) {
    let code = Int(cell.code.index)
    guard let grid = cell.value.scaled(toExponent: layout.codes[code].resolutionExponent),
      let value = Int32(exactly: grid)
    else { return }
    samples += 1
    let place = table.place(patient: row.patient, code: code)
    _ = (table.series + place).pointee.insert(
      time: row.time, value: value, quality: cell.quality, status: cell.status, plan: layout.codes[code])
  }

  /// Judges every series at the end of a window.
  private func close(_ end: Int64) {
    for place in 0..<table.count {
      let series = table.series + place
      let code = series.pointee.code
      let plan = layout.codes[code]
      series.pointee.refresh(now: end, plan: plan)
      for rule in plan.seriesRules {
        let judgement = judge(rule, table.view(place), end)
        switch table.episodes[place].observe(judgement, now: end, timing: timings[rule]) {
        case .met(let onset), .bypassed(let onset): write(place, rule: rule, onset: onset, end: end)
        case .none, .pending, .dropped, .gated, .recrossed, .closed: break
        }
        // Nothing left in the window: the comparison forgets the episode. (The engine keeps it: unknown never clears.)
        if judgement.when == .unknown { table.episodes[place].reset() }
      }
    }
  }

  /// What the rule's conditions say; without a `clear` of its own it clears when it no longer holds.
  private func judge(_ rule: Int, _ view: PatientView, _ end: Int64) -> Judgement {
    let compiled = layout.rules[rule]
    let reading = ExpressionMachine.Reading(now: end, subject: 0, rule: rule, holdLast: false)
    func run(_ program: CompiledProgram) -> Judgement.Truth {
      switch machine.truth(program, features: compiled.features, view: view, layout: layout, reading: reading) {
      case .yes: .yes
      case .no: .no
      case .unknown: .unknown
      }
    }
    let when = run(compiled.when)
    let clear = compiled.clear.map(run) ?? (when == .no ? .yes : when == .yes ? .no : .unknown)
    return Judgement(when: when, clear: clear, bypass: compiled.bypass.map(run) ?? .no)
  }

  private func write(_ place: Int, rule: Int, onset: Int64, end: Int64) {
    alerts += 1
    var series = table.series[place]
    let plan = layout.codes[series.code]
    let vital = layout.plan.registry.vitals[series.code]
    func canonical(_ grid: Double) -> Double { vital.decimal(grid: Int64(grid)).double }
    let count = series.aggregate(.count, window: 0, now: end, plan: plan)
    // The sum is whole in grid steps: mean x count, rounded, is that number again.
    let sum = (series.aggregate(.mean, window: 0, now: end, plan: plan) * count).rounded()
    // No rule asks for the extremes: they are read from the samples the series keeps, as an alert's explanation is.
    var least = Int32.max
    var greatest = Int32.min
    for sample in series.samples where sample.time >= end - length && sample.time < end {
      least = min(least, sample.value)
      greatest = max(greatest, sample.value)
    }
    var out = JSONText()
    out.object {
      $0.field("patient", reader.names.patients[table.patients[place]])
      $0.field("code", SameWork.code(vital.key))
      $0.field("start", Int(onset))
      $0.field("time", Int(end))
      $0.field("mean", canonical(sum) / count)
      $0.field("min", canonical(Double(least)))
      $0.field("max", canonical(Double(greatest)))
      $0.field("n", Int(count))
    }
    lines += out.bytes
    lines.append(UInt8(ascii: "\n"))
  }

  /// The comparison's name of a vital.
  private static func code(_ key: String) -> String { key == "resp" ? "RR" : key.uppercased() }

  /// - Returns: the exit code.
  static func run(input: String, output: String, rules: String) -> Int32 {
    do {
      let work = try SameWork(rules: rules, input: input)
      try work.run()
      guard FileManager.default.createFile(atPath: output, contents: Data(work.lines)) else {
        print("samework: \(output): cannot be written")
        return 1
      }
      print("samework: \(work.samples) samples, \(work.alerts) alerts, \(work.refused) refused")
      return 0
    } catch {
      print("samework: failed: \(error)")
      return 1
    }
  }
}

enum SameWorkError: Error, CustomStringConvertible {
  case windows

  var description: String { "every rule must read one and the same hopping window, `60s every 10s`" }
}
