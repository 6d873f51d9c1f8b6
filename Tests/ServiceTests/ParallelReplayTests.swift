import Compression
import Configuration
import Pipeline
import Recordings
import Simulation
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

  /// A ward in which every other patient falls ill, as it is sent: patients in turn.
  private func ward(patients: Int, seconds: Int) -> [UInt8] {
    var settings = WardSettings(
      seed: 11, patients: patients, start: 1_577_836_800_000,
      plans: WardSettings.mix(patients: patients, first: 30, spacing: 15))
    settings.pace = 20
    var ward = Ward(settings)
    var encoder = MessageEncoder()
    return (0..<seconds).flatMap { _ in ward.next().flatMap { encoder.jsonLine($0) } }
  }

  /// The same ward, one patient after the other.
  private func grouped(_ text: [UInt8]) -> [UInt8] {
    let lines = text.split(separator: 10)
    func patient(_ line: ArraySlice<UInt8>) -> String {
      String(decoding: line, as: UTF8.self).split(separator: "\"patient\":\"")[1].split(separator: "\"")[0].description
    }
    return Dictionary(grouping: lines, by: patient).sorted { $0.key < $1.key }.flatMap { $0.value }
      .flatMap { Array($0) + [10] }
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
      if rows % 500 == 250, rows / 500 < events.count { session.take(events[rows / 500], names: reader.names) }
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
    let turns = ward(patients: 5, seconds: 420)
    for text in [turns, grouped(turns)] {
      let one = try run(text, threads: 1)
      #expect(one.told.count > 4 && one.held.count > 1)
      for threads in [2, 3] { #expect(try run(text, threads: threads) == one) }
    }
  }

  @Test func alarmsBoundsAndChosenPatientsChangeNothingAboutIt() throws {
    let text = ward(patients: 4, seconds: 240)
    let alarm = RecordedEvent(patient: "stranger", time: 1_577_836_830_000, event: "asystole", starts: true)
    let change: (inout ReplaySession.Options) -> Void = {
      $0.from = 1_577_836_820_000
      $0.to = 1_577_837_000_000
    }
    let one = try run(text, threads: 1, change, events: [alarm])
    #expect(one.told.contains { $0.contains("stranger") })
    #expect(try run(text, threads: 3, change, events: [alarm]) == one)
    let some: (inout ReplaySession.Options) -> Void = { $0.patients = ["sim-0002", "sim-0003"] }
    let few = try run(text, threads: 1, some, events: [alarm])
    #expect(!few.told.contains { $0.contains("stranger") }, "the alarm of somebody who is left out")
    #expect(try run(text, threads: 3, some, events: [alarm]) == few)
  }

  @Test func patientsBehindOneGatewayStayOnOneThread() throws {
    let plan = try #require(ParallelReplayTests.plan)
    var options = ReplaySession.Options()
    options.threads = 4
    let plain = """
      version: 1
      patients:
        - {id: a, unit: ward-1}
        - {id: b, unit: ward-1}
      """
    func threads(_ text: String) throws -> Int {
      options.roster = try RosterFile.parseAny(text, file: "roster.yaml", registry: plan.registry)
      return ReplaySession(plan: plan, options: options) { _ in }.threads
    }
    let devices = "\nassignments:\n  - {device: d1, patient: a, gateway: g1}\n  - {device: d2, patient: b, gateway: g1}\n"
    #expect(try threads(plain) == 4)
    #expect(try threads(plain + devices) == 1)
    options.engine.without = [.grouping]
    #expect(try threads(plain + devices) == 4)
    options.engine.alerting.unitBudget = 3
    #expect(try threads(plain) == 1)
  }
}
