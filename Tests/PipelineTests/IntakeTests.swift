import TestSupport
import Testing
import VitalModel

@testable import Pipeline

/// SEMANTICS A6, A7, A10, B6, E9: what is admitted.
@Suite struct IntakeTests {
  private final class Bench {
    let directory = Directory(registry: Shipped.registry)
    let intake: Intake
    init(_ identity: IdentityMode = .device, _ clock: EngineClock = .wall) {
      intake = Intake(directory: directory, options: Intake.Options(identity: identity, clock: clock), history: nil)
    }

    func slot(
      _ code: String, _ value: String, at second: Int, received: Int? = nil, seq: Int64? = nil, device: String = "d",
      _ flags: SampleFlags = []
    ) -> Slot {
      var slot = Slot()
      slot.kind = .sample
      slot.code = Shipped.registry.code(code) ?? VitalCode(index: 0)
      slot.value = DecimalValue(value) ?? DecimalValue(mantissa: 0)
      slot.device = directory.device(tenant: "t", device: device)
      slot.eventTime = Strip.origin + Int64(second) * 1000
      slot.ingestTime = Strip.origin + Int64(received ?? second) * 1000
      slot.flags = flags
      if let seq {
        slot.flags.insert(.hasSequence)
        slot.deviceSequence = seq
      }
      return slot
    }

    func admit(
      _ code: String, _ value: String, at second: Int, received: Int? = nil, seq: Int64? = nil, device: String = "d",
      _ flags: SampleFlags = [], digest: UInt64 = 0
    ) -> Admission {
      var slot = slot(code, value, at: second, received: received, seq: seq, device: device, flags)
      return intake.admit(&slot, digest: digest)
    }
  }

  @Test("A6: same device, seq, code, time and value is a duplicate; without seq, same series, time and value")
  func duplicates() {
    let bench = Bench()
    #expect(bench.admit("hr", "70", at: 0, seq: 1) == .accepted)
    #expect(bench.admit("hr", "70", at: 0, seq: 1) == .duplicate)
    #expect(bench.admit("hr", "70.0", at: 0, seq: 1) == .duplicate)
    #expect(bench.admit("spo2", "97", at: 0) == .accepted)
    #expect(bench.admit("spo2", "97", at: 0) == .duplicate)
    #expect(bench.admit("spo2", "97", at: 1) == .accepted)
    #expect(bench.admit("spo2", "97", at: 1, device: "e") == .accepted)
  }

  @Test("A6: another value at the same time is a correction with a higher seq or the mark, else a conflict")
  func corrections() {
    let bench = Bench()
    #expect(bench.admit("hr", "70", at: 0, seq: 5) == .accepted)
    #expect(bench.admit("hr", "71", at: 0, seq: 5) == .refused(.duplicateConflict))
    #expect(bench.admit("hr", "71", at: 0, seq: 4) == .refused(.duplicateConflict))
    #expect(bench.admit("hr", "71", at: 0, seq: 6) == .accepted)
    #expect(bench.admit("hr", "71", at: 0, seq: 6) == .duplicate)
    #expect(bench.admit("spo2", "97", at: 0) == .accepted)
    #expect(bench.admit("spo2", "96", at: 0) == .refused(.duplicateConflict))
    #expect(bench.admit("spo2", "95", at: 0, .corrected) == .accepted)
    #expect(bench.intake.counts.corrections == 2)
  }

  @Test("A6: the redelivery of a value that was corrected since is a duplicate, going back to it is a correction")
  func redeliveryOfACorrectedValue() {
    let bench = Bench()
    #expect(bench.admit("hr", "70", at: 0, seq: 5) == .accepted)
    #expect(bench.admit("hr", "71", at: 0, seq: 6) == .accepted)
    #expect(bench.admit("hr", "70", at: 0, seq: 5) == .duplicate)
    #expect(bench.admit("hr", "70", at: 0, seq: 7) == .accepted)
    #expect(bench.admit("spo2", "97", at: 0) == .accepted)
    #expect(bench.admit("spo2", "96", at: 0, .corrected) == .accepted)
    #expect(bench.admit("spo2", "97", at: 0) == .duplicate)
  }

  @Test("A6: the same seq with a later time is a device that restarted: accepted and counted once a message")
  func restarts() {
    let bench = Bench()
    #expect(bench.admit("hr", "70", at: 0, seq: 9) == .accepted)
    #expect(bench.admit("hr", "70", at: 10, seq: 1) == .accepted)
    #expect(bench.admit("spo2", "97", at: 10, seq: 1) == .accepted)
    #expect(bench.intake.counts.restarts == 1)
    #expect(bench.admit("hr", "70", at: 9, seq: 0) == .accepted)
    #expect(bench.intake.counts.restarts == 1)
  }

  @Test("A6: a message with neither time nor seq is redelivered only with DUP and an equal digest")
  func timelessRedelivery() {
    let bench = Bench()
    #expect(bench.admit("hr", "70", at: 0, .timeReceived, digest: 1) == .accepted)
    #expect(bench.admit("hr", "70", at: 5, .timeReceived, digest: 1) == .accepted)
    #expect(bench.admit("hr", "70", at: 6, [.timeReceived, .redelivered], digest: 1) == .duplicate)
    #expect(bench.admit("hr", "70", at: 7, [.timeReceived, .redelivered], digest: 2) == .accepted)
  }

  @Test("A6: a numbered message without a time is redelivered with DUP and an equal number")
  func numberedWithoutTime() {
    let bench = Bench()
    #expect(bench.admit("hr", "70", at: 0, seq: 4, .timeReceived) == .accepted)
    #expect(bench.admit("hr", "70", at: 6, seq: 4, [.timeReceived, .redelivered]) == .duplicate)
    #expect(bench.admit("hr", "70", at: 7, seq: 5, [.timeReceived, .redelivered]) == .accepted)
  }

  @Test("A10: two timeless values received in one millisecond are two measurements")
  func timelessInOneMillisecond() {
    let bench = Bench()
    #expect(bench.admit("hr", "70", at: 0, .timeReceived, digest: 1) == .accepted)
    var second = bench.slot("hr", "80", at: 0, .timeReceived)
    #expect(bench.intake.admit(&second, digest: 2) == .accepted)
    #expect(second.eventTime == Strip.origin + 1)
  }

  @Test("A7: books balance on random streams with duplicates, corrections, conflicts and restarts", arguments: 0..<10)
  func booksBalance(seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed))
    let bench = Bench()
    var seen: UInt64 = 0
    var stored: Set<[Int64]> = []
    for step in 0..<4000 {
      let late = Int.random(in: 0..<5, using: &generator) == 0 ? Int.random(in: 0...12, using: &generator) : 0
      var flags: SampleFlags = []
      if Int.random(in: 0..<20, using: &generator) == 0 { flags.insert(.corrected) }
      let sequence = Bool.random(using: &generator) ? Int64(step - late) % 500 : nil
      let device = Int.random(in: 0..<3, using: &generator)
      let code = Bool.random(using: &generator) ? "hr" : "spo2"
      var slot = bench.slot(
        code, "\(Int.random(in: 60...63, using: &generator))", at: step / 4 - late, received: step / 4, seq: sequence,
        device: "d\(device)", flags)
      seen += 1
      let admission = bench.intake.admit(&slot, digest: 0)
      let key = [Int64(slot.series), slot.eventTime]
      switch admission {
      case .accepted:
        // A time is taken once, but for corrections.
        #expect(slot.flags.contains(.corrected) || !stored.contains(key))
        stored.insert(key)
      case .duplicate, .refused(.duplicateConflict): #expect(stored.contains(key))
      case .refused: Issue.record("unexpected refusal")
      }
      let counts = bench.intake.counts
      #expect(counts.seen == seen && counts.seen == counts.stored + counts.quarantined + counts.duplicates)
    }
    bench.intake.countRefusedBefore(3)
    let counts = bench.intake.counts
    #expect(counts.seen == seen + 3 && counts.seen == counts.stored + counts.quarantined + counts.duplicates)
    #expect(counts.duplicates > 0 && counts.corrections > 0 && counts.quarantined > 0 && counts.restarts > 0)
  }

  @Test("A7: after a restart that remembers the journal the answers are the same")
  func remembersTheJournal() {
    let first = Bench()
    let second = Bench()
    for second_ in 0..<10 {
      var slot = first.slot("hr", "70", at: second_, seq: Int64(second_))
      #expect(first.intake.admit(&slot, digest: 0) == .accepted)
      for entry in first.directory.takePending() { #expect(second.directory.restore(entry)) }
      second.intake.remember(slot)
    }
    for bench in [first, second] {
      #expect(bench.admit("hr", "70", at: 9, seq: 9) == .duplicate)
      #expect(bench.admit("hr", "71", at: 8, seq: 8) == .refused(.duplicateConflict))
      #expect(bench.admit("hr", "70", at: 10, seq: 3) == .accepted)
      #expect(bench.intake.counts.restarts == 1)
    }
  }

  @Test("B6: future time exists only in wall mode and only without a steady offset")
  func future() {
    let live = Bench()
    #expect(live.admit("hr", "70", at: 60, received: 0) == .accepted)
    #expect(live.admit("hr", "70", at: 62, received: 1) == .refused(.futureTime))
    #expect(Bench(.device, .stream).admit("hr", "70", at: 9999, received: 0) == .accepted)
  }

  @Test("B6: a clock that runs ahead is corrected after three messages that agree, and reported")
  func clockAhead() {
    let bench = Bench()
    #expect(bench.admit("hr", "70", at: 600, received: 0) == .refused(.futureTime))
    #expect(bench.admit("hr", "70", at: 601, received: 1) == .refused(.futureTime))
    var slot = bench.slot("hr", "70", at: 602, received: 2)
    #expect(bench.intake.admit(&slot, digest: 0) == .accepted)
    #expect(slot.eventTime == Strip.origin + 2000)
    #expect(slot.flags.contains(.clockCorrected))
    #expect(bench.intake.skewChanges.map(\.milliseconds) == [-600_000])
    #expect(bench.directory.clockOffset(slot.device) == -600_000)
  }

  @Test("B6: a clock that runs behind is corrected once twenty messages agree; a back-log is not a wrong clock")
  func clockBehind() {
    let bench = Bench()
    for second in 0..<19 { #expect(bench.admit("hr", "70", at: second, received: second + 300) == .accepted) }
    #expect(bench.intake.skewChanges.isEmpty)
    var slot = bench.slot("hr", "70", at: 19, received: 319)
    #expect(bench.intake.admit(&slot, digest: 0) == .accepted)
    #expect(slot.eventTime == slot.ingestTime)
    let drained = Bench()
    for second in 0..<100 { #expect(drained.admit("hr", "70", at: second, received: 300) == .accepted) }
    #expect(drained.intake.skewChanges.isEmpty)
  }

  @Test("B6: a correction in force survives a restart")
  func correctionSurvives() {
    let bench = Bench()
    let device = bench.directory.device(tenant: "t", device: "d")
    bench.directory.restore(.clockOffset(device: device, milliseconds: -600_000))
    var slot = bench.slot("hr", "70", at: 600, received: 0)
    #expect(bench.intake.admit(&slot, digest: 0) == .accepted)
    #expect(slot.eventTime == Strip.origin)
  }

  @Test("E9: an assignment holds from its begin up to, not including, its end")
  func assignments() throws {
    let bench = Bench(.roster)
    let roster = try Roster(
      patients: [RosterPatient(id: "p1"), RosterPatient(id: "p2")],
      assignments: [
        RosterAssignment(device: "d", patient: "p1", from: Strip.time("10"), to: Strip.time("20")),
        RosterAssignment(device: "d", patient: "p2", from: Strip.time("20"), to: nil),
      ])
    #expect(bench.admit("hr", "70", at: 9) == .refused(.unassignedDevice))
    bench.intake.rosterNumber = bench.directory.adopt(roster)
    var patients: [UInt32] = []
    for second in [10, 19, 20, 30] {
      var slot = bench.slot("hr", "70", at: second)
      #expect(bench.intake.admit(&slot, digest: 0) == .accepted)
      patients.append(slot.patient)
    }
    let p1 = bench.directory.patient(tenant: "t", patient: "p1")
    let p2 = bench.directory.patient(tenant: "t", patient: "p2")
    #expect(patients == [p1, p1, p2, p2])
    #expect(bench.admit("hr", "70", at: 9, received: 30) == .refused(.unassignedDevice))
    #expect(bench.admit("hr", "70", at: 15, received: 30) == .accepted)
  }

  @Test("names get dense numbers, journaled before use and restored in order")
  func directory() {
    let directory = Directory(registry: Shipped.registry)
    #expect(directory.source("") == 0)
    #expect(directory.source("ecg") == 1)
    #expect(directory.device(tenant: "t", device: "d") == 0)
    #expect(directory.patient(tenant: "t", patient: "p") == 0)
    #expect(directory.series(patient: 0, code: VitalCode(index: 0), device: 0, source: 1) == 0)
    let entries = directory.takePending()
    #expect(entries.count == 4)
    #expect(directory.takePending().isEmpty)
    directory.giveBack(entries)
    #expect(directory.takePending() == entries)
    let other = Directory(registry: Shipped.registry)
    for entry in entries { #expect(other.restore(entry)) }
    #expect(other.source("ecg") == 1 && other.counts.series == 1)
    #expect(!other.restore(.device(number: 7, tenant: "t", device: "x")))
    #expect(!other.restore(.device(number: 0, tenant: "t", device: "x")))
    #expect((0..<partitionCount).contains(other.partition(ofPatient: 0)))
    #expect(other.partition(ofPatient: 0) == directory.partition(ofPatient: 0))
  }
}
