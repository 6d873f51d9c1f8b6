import Compression
import Configuration
import Pipeline
import Recordings
import TestSupport
import Testing
import VitalModel

@testable import Service

/// A replay's documents, figures and state are the same for any number of threads (CONTRACT section 6).
@Suite struct ParallelReplayTests {
  private struct Bytes: ByteSource {
    var rest: ArraySlice<UInt8>

    mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(CompressionError) -> Int {
      let count = min(buffer.count, rest.count)
      buffer.copyBytes(from: rest.prefix(count))
      rest = rest.dropFirst(count)
      return count
    }
  }

  private static let plan = try? RuleFiles.read(RepositoryRoot.path + "/Rules").plan(set: "adult-ward")

  /// Patients whose saturation and heart rate go up and down by chance, once a minute.
  private func lines(patients: Int, minutes: Int) -> [[String]] {
    var chance = SeededGenerator(seed: 11)
    return (0..<patients).map { patient in
      var spo2 = 97
      var hr = 80
      return (0..<minutes).map { minute in
        if Int.random(in: 0..<5, using: &chance) == 0 { spo2 = [97, 95, 84, 91].randomElement(using: &chance) ?? 97 }
        if Int.random(in: 0..<5, using: &chance) == 0 { hr = [60, 80, 136, 151].randomElement(using: &chance) ?? 80 }
        return "p\(patient),\(minute * 60 + patient),\(spo2),\(hr)\n"
      }
    }
  }

  private func text(_ lines: some Sequence<String>) -> [UInt8] {
    Array("patient_id,time_s,spo2,hr\n".utf8) + lines.flatMap { Array($0.utf8) }
  }

  /// One patient after the other.
  private func grouped(patients: Int, minutes: Int) -> [UInt8] {
    text(lines(patients: patients, minutes: minutes).joined())
  }

  /// Patients in turn, as they were measured.
  private func inTurn(patients: Int, minutes: Int) -> [UInt8] {
    let all = lines(patients: patients, minutes: minutes)
    return text((0..<minutes).flatMap { minute in all.map { $0[minute] } })
  }

  private struct Ran: Equatable {
    var told: [String] = []
    var held: [String] = []
    var summary = ""
  }

  private func run(
    _ bytes: [UInt8], threads: Int, _ change: (inout ReplaySession.Options) -> Void = { _ in },
    events: [RecordedEvent] = []
  ) throws -> Ran {
    let plan = try #require(ParallelReplayTests.plan)
    var options = ReplaySession.Options()
    options.threads = threads
    options.wanted = [.told, .held, .lines]
    change(&options)
    var ran = Ran()
    let session = ReplaySession(plan: plan, options: options) { output in
      switch output {
      case .toldLine(let line): ran.told.append(String(decoding: line, as: UTF8.self))
      case .heldLine(let line): ran.held.append(String(decoding: line, as: UTF8.self))
      case .told, .held: Issue.record("lines were asked for")
      }
    }
    let file = RecordingFile(name: "ward", source: Bytes(rest: bytes[...]))
    let reader = RecordingReader([file], registry: plan.registry) { session.note($0) }
    var rows = 0
    try reader.forEach { row in
      if rows % 100 == 90, rows / 100 < events.count { session.take(events[rows / 100], names: reader.names) }
      rows += 1
      session.take(row, names: reader.names)
      return true
    }
    var summary = session.finish(seconds: 0)
    summary.showsStages = true
    ran.summary = summary.json
    return ran
  }

  @Test func anyNumberOfThreadsGivesTheSameBytes() throws {
    for text in [grouped(patients: 7, minutes: 100), inTurn(patients: 7, minutes: 100)] {
      let one = try run(text, threads: 1)
      #expect(one.told.count > 4 && one.held.count > 1)
      for threads in [2, 3] { #expect(try run(text, threads: threads) == one) }
    }
  }

  @Test func alarmsBoundsAndChosenPatientsChangeNothingAboutIt() throws {
    let text = inTurn(patients: 4, minutes: 60)
    let alarm = RecordedEvent(patient: "stranger", time: 1_577_838_000_000, event: "asystole", starts: true)
    let change: (inout ReplaySession.Options) -> Void = {
      $0.from = 1_577_837_400_000
      $0.to = 1_577_840_000_000
    }
    let one = try run(text, threads: 1, change, events: [alarm])
    #expect(one.told.contains { $0.contains("stranger") })
    #expect(try run(text, threads: 3, change, events: [alarm]) == one)
    let some: (inout ReplaySession.Options) -> Void = { $0.patients = ["p1", "p2"] }
    let few = try run(text, threads: 1, some, events: [alarm])
    #expect(!few.told.contains { $0.contains("stranger") }, "the alarm of somebody who is left out")
    #expect(try run(text, threads: 3, some, events: [alarm]) == few)
  }

  /// A run that is cut off at `stop` rows after its progress was noted at `noted`, and the run that goes on from there.
  private func interrupted(_ bytes: [UInt8], threads: Int, noted: Int, stop: Int) throws -> Ran {
    let plan = try #require(ParallelReplayTests.plan)
    var options = ReplaySession.Options()
    options.threads = threads
    options.wanted = [.told, .held, .lines]
    var ran = Ran()
    let sink: (ReplayOutput) -> Void = { output in
      switch output {
      case .toldLine(let line): ran.told.append(String(decoding: line, as: UTF8.self))
      case .heldLine(let line): ran.held.append(String(decoding: line, as: UTF8.self))
      case .told, .held: Issue.record("lines were asked for")
      }
    }
    var stored: [UInt8] = []
    var sizes = (told: 0, held: 0)
    let first = ReplaySession(plan: plan, options: options, sink: sink)
    let reader = RecordingReader(
      [RecordingFile(name: "ward", source: Bytes(rest: bytes[...]))], registry: plan.registry
    ) { first.note($0) }
    try reader.forEach { row in
      if first.entries == noted {
        stored = first.progress(identity: "this").bytes
        sizes = (ran.told.count, ran.held.count)
      }
      first.take(row, names: reader.names)
      return first.entries < stop
    }
    // What was written after the note is cut off again.
    ran.told.removeLast(ran.told.count - sizes.told)
    ran.held.removeLast(ran.held.count - sizes.held)
    let progress = try #require(ReplayProgress(stored))
    #expect(progress.entries == noted && progress.identity == "this")
    let second = ReplaySession(plan: plan, options: options, sink: sink)
    #expect(second.resume(from: progress))
    let again = RecordingReader(
      [RecordingFile(name: "ward", source: Bytes(rest: bytes[...]))], registry: plan.registry
    ) { second.note($0) }
    try again.forEach { row in
      second.take(row, names: again.names)
      return true
    }
    #expect(!second.hasFailedToResume && !second.isCatchingUp)
    var summary = second.finish(seconds: 0)
    summary.showsStages = true
    ran.summary = summary.json
    return ran
  }

  @Test func aReplayThatWasCutOffGoesOnToTheSameBytes() throws {
    let text = inTurn(patients: 5, minutes: 80)
    for threads in [1, 2] {
      let whole = try run(text, threads: threads)
      for noted in [1, 150, 333] {
        #expect(try interrupted(text, threads: threads, noted: noted, stop: noted + 40) == whole, "\(noted)")
      }
    }
  }

  @Test func damagedProgressIsRefused() throws {
    let plan = try #require(ParallelReplayTests.plan)
    let bytes = ReplaySession(plan: plan, options: .init()) { _ in }.progress(identity: "x").bytes
    #expect(ReplayProgress(bytes) != nil)
    for place in bytes.indices {
      var damaged = bytes
      damaged[place] ^= 1
      #expect(ReplayProgress(damaged) == nil)
    }
    #expect(ReplayProgress(Array(bytes.dropLast())) == nil && ReplayProgress([]) == nil)
    let other = try #require(ReplayProgress(bytes))
    var options = ReplaySession.Options()
    options.threads = other.threads + 1
    #expect(!ReplaySession(plan: plan, options: options) { _ in }.resume(from: other))
  }

  @Test func patientsBehindOneGatewayStayOnOneThread() throws {
    let plan = try #require(ParallelReplayTests.plan)
    var options = ReplaySession.Options()
    options.threads = 4
    let plain = "patient_id,unit\na,ward-1\nb,ward-1\n"
    let behind = "patient_id,unit,gateway\na,ward-1,g-1\nb,ward-1,g-1\n"
    func threads(_ text: String) throws -> Int {
      options.roster = try RosterFile.parseAny(text, file: "patients.csv", registry: plan.registry)
      return ReplaySession(plan: plan, options: options) { _ in }.threads
    }
    #expect(try threads(plain) == 4)
    #expect(try threads(behind) == 1)
    options.engine.without = [.grouping]
    #expect(try threads(behind) == 4)
    options.engine.alerting.unitBudget = 3
    #expect(try threads(plain) == 1)
  }
}
