import Foundation
import Glibc
import Recordings
import Service
import VitalModel

/// What many settings of one rule in one pass cost, as CPU time of the process, beside plain replays of that rule alone and
/// of its whole set; all read the recording from disk.
enum SweepBenchmark {
  /// - Returns: the exit code.
  static func run(_ path: String, _ options: LiveOptions) -> Int32 {
    let rule = options.text("rule") ?? "spo2-low"
    let settings = options.text("settings").flatMap { Int($0) } ?? 100
    do {
      let files = try RuleFiles.read("Rules")
      let rules = try SweepRules(files: files, set: options.text("set") ?? "adult-charted")
      let worlds = try worlds(rules, rule: rule, count: max(1, settings))
      var replay = ReplaySession.Options()
      replay.threads = options.text("threads").flatMap { Int($0) } ?? 1
      replay.wanted = []
      let bench = try Bench(path: path, files: files, options: replay)
      let plain = try bench.replay(rules.world(of: [rule]).plan, "rule alone")
      let set = try bench.replay(rules.plan, "whole set ")
      let swept = try bench.sweep(worlds)
      print(
        "sweep: \(worlds.count) settings cost \(text(swept / plain)) plain replays of the rule, \(text(swept / set)) of the set"
      )
      return 0
    } catch {
      print("sweep: failed: \(error)")
      return 1
    }
  }

  /// Ten values of the limit, each with as many of the hold as it takes.
  private static func worlds(_ rules: SweepRules, rule: String, count: Int) throws -> [SweepWorld] {
    let known = rules.names(of: rule) ?? []
    let limit = known.first { $0.name == "limit" }
    let lowest = limit?.lowest?.double ?? 0
    let highest = limit?.highest?.double ?? 0
    return try (0..<count).map { number in
      var values: [SweepName: DecimalValue] = [:]
      if limit != nil {
        let value = lowest + (highest - lowest) * Double(number % 10) / 10
        values[SweepName(rule: rule, name: "limit")] = DecimalValue(
          mantissa: Int64((value * 100).rounded()), exponent: -2)
      }
      values[SweepName(rule: rule, name: "for")] = DecimalValue(mantissa: Int64(number / 10) * 5000)
      return try rules.world(of: [rule], SweepSetting(values))
    }
  }

  private static func text(_ number: Double) -> String { String(format: "%.2f", number) }

  /// One recording, read anew each time.
  private struct Bench {
    let path: String
    let registry: VitalRegistry
    let columns: RecordingOptions
    let options: ReplaySession.Options

    init(path: String, files: RuleFiles, options: ReplaySession.Options) throws {
      self.path = path
      self.options = options
      registry = try files.registry()
      columns = try RecordedSlots.options(path, files, registry)
    }

    func replay(_ plan: RulePlan, _ name: String) throws -> Double {
      let start = (Bench.cpu(), Date())
      let session = ReplaySession(plan: plan, options: options) { _ in }
      try feed(session)
      let summary = session.finish(seconds: 0)
      return report(name, since: start, "\(summary.samples) samples, \(summary.alerts) alerts")
    }

    func sweep(_ worlds: [SweepWorld]) throws -> Double {
      let start = (Bench.cpu(), Date())
      let result = try SettingSweep(worlds: worlds, options: options, threads: options.threads).run { try feed($0) }
      return report("sweep     ", since: start, "\(result.alerts.reduce(0) { $0 + $1.count }) alerts")
    }

    private func report(_ name: String, since start: (cpu: Double, wall: Date), _ what: String) -> Double {
      let spent = Bench.cpu() - start.cpu
      let wall = Date().timeIntervalSince(start.wall)
      print("sweep: \(name) \(SweepBenchmark.text(spent)) s CPU, \(SweepBenchmark.text(wall)) s, \(what)")
      return spent
    }

    private func feed(_ taker: any RowTaker) throws {
      let reader = RecordingReader([RecordingFile(path: path)], registry: registry, options: columns) { taker.note($0) }
      try reader.forEach { row in
        taker.take(row, names: reader.names)
        return true
      }
    }

    /// Seconds of this process, all threads.
    private static func cpu() -> Double {
      var usage = rusage()
      getrusage(Int32(RUSAGE_SELF.rawValue), &usage)
      func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) * 1e-6 }
      return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }
  }
}
