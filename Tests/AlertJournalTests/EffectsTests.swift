import Compression
import KeyValueStore
import Pipeline
import Testing
import VitalModel

@testable import AlertJournal

@Suite struct EffectsTests {
  private func effects() -> Effects {
    var effects = Effects()
    effects.output.transitions = [
      transition("a1", 1, detected: 1000), transition("a2", 1, patient: 9, detected: 1500, evidence: nil),
      transition("a1", 2, detected: 2000, phase: .escalate), transition("a1", 10, detected: 9000, phase: .end),
    ]
    effects.output.ledger = [
      ledgerRow(position: 4, patient: 7, detected: 1000, message: "first"),
      ledgerRow(position: 4, patient: 7, detected: 1000, message: "second"),
      ledgerRow(position: 4, patient: 9, detected: 1000, message: "third"),
      ledgerRow(position: 9, patient: 7, detected: 3000, message: "fourth"),
    ]
    effects.checkpoints = [
      PatientCheckpoint(patient: 9, position: 12, bytes: [1, 2, 3]),
      PatientCheckpoint(patient: 7, position: .max, bytes: []),
    ]
    effects.progress.applied[63] = 12
    effects.progress.floor = 3
    effects.outbox = [outboxRow("w1"), outboxRow("w1", receiver: "night"), outboxRow("w2"), outboxRow("w1")]
    return effects
  }

  /// Every row of every family but the outbox's own counter.
  private func contents(_ store: VigilStore) throws -> [[UInt8]] {
    var rows: [[UInt8]] = []
    let families = store.families
    for family in [families.alerts, families.ledger, families.state, families.outbox] {
      try Table(store: store.store, family: family).scan { (key, value) throws(JournalError) in
        rows.append([UInt8](key) + [UInt8](value))
        return true
      }
    }
    return rows
  }

  @Test("invariant 3: effects derived again after a crash change nothing and queue nothing twice")
  func effectsDerivedAgainChangeNothing() throws {
    var open = try OpenStore()
    let queued = try EffectsWriter(store: open.store, shard: 0).write(effects())
    #expect(queued.map(\.row.webhookID) == ["w1", "w1", "w2"])
    #expect(queued.map(\.order) == [1, 2, 3])
    let before = try contents(open.store)
    try open.restart()
    defer { open.store.close() }
    #expect(try EffectsWriter(store: open.store, shard: 0).write(effects(), sync: true).isEmpty)
    #expect(try contents(open.store) == before)
  }

  /// A write that fails leaves none of the parts behind.
  @Test("invariant 3: transitions, ledger, states, progress and outbox of a range are one write, whole or not at all")
  func effectsAreAllOrNothing() throws {
    let open = try OpenStore()
    let folder = try Folder()
    defer { open.store.close() }
    try open.append(samples(1...2))
    let before = try contents(open.store)
    var long = effects()
    long.outbox.append(outboxRow(String(repeating: "w", count: 70_000)))
    #expect(throws: JournalError.tooLong(bytes: 70_000, limit: 65_535)) {
      try EffectsWriter(store: open.store, shard: 0).write(long)
    }
    #expect(try contents(open.store) == before)
    let reader = try VigilStore.openReadOnly(path: open.path, scratch: folder.entry("scratch"))
    defer { reader.close() }
    #expect(throws: JournalError.store(.readOnly)) { try EffectsWriter(store: reader, shard: 0).write(effects()) }
    // The next write of the same writer carries nothing over from the refused one.
    let writer = EffectsWriter(store: open.store, shard: 0)
    _ = try? writer.write(long)
    var small = Effects()
    small.progress.floor = 1
    try writer.write(small)
    #expect(try contents(open.store).count == before.count + 1)
  }

  // MARK: Alerts

  @Test func transitionsAreFoundByAlertPatientAndTime() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    let effects = effects()
    try EffectsWriter(store: open.store, shard: 0).write(effects)
    let alerts = open.store.alerts
    let found = try alerts.transitions(alertID: "a1")
    #expect(found.map(\.sequence) == [1, 2, 10])
    #expect(found[0].document == effects.output.transitions[0].document.json)
    #expect(found[0].evidence == #"{"samples":[]}"#)
    #expect(found[0].position == 1000 && found[0].onsetTime == 500 && found[0].isNotified)
    #expect(found[2].phase == .end && found[2].state == .inactive && found[2].priority == .high)
    #expect(try alerts.newest(alertID: "a1") == found[2])
    #expect(try alerts.newest(alertID: "a2")?.evidence == nil)
    #expect(try alerts.transitions(alertID: "none").isEmpty && alerts.newest(alertID: "none") == nil)
    #expect(try alerts.patient(ofAlert: "a2") == 9)
    #expect(try alerts.transitions(patient: 7).count == 3)
    #expect(try alerts.list(limit: 10).map(\.detectedTime) == [1000, 1500, 2000, 9000])
    #expect(try alerts.list(from: 1500, to: 9000, limit: 10).map(\.detectedTime) == [1500, 2000])
    #expect(try alerts.list(limit: 2, newestFirst: true).map(\.detectedTime) == [9000, 2000])
    #expect(try alerts.count() == 4 && alerts.count(phase: .start) == 2)
  }

  @Test func ledgerRowsAreListedByTimeAndPatient() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    let effects = effects()
    try EffectsWriter(store: open.store, shard: 0).write(effects)
    // Another shard, the same clock entry, another patient.
    var other = Effects()
    other.output.ledger = [ledgerRow(position: 4, patient: 8, detected: 1000, message: "fifth")]
    try EffectsWriter(store: open.store, shard: 1).write(other)
    let ledger = open.store.ledger
    #expect(try ledger.count() == 5)
    #expect(
      try ledger.list(patient: 7, limit: 10).map(\.document)
        == [0, 1, 3].map { effects.output.ledger[$0].document.json })
    #expect(try ledger.list(from: 1001, limit: 10).map(\.position) == [9])
    #expect(try ledger.list(to: 3000, limit: 10).map(\.patient) == [7, 7, 8, 9])
    #expect(try ledger.list(limit: 1, newestFirst: true).map(\.detectedTime) == [3000])
    func trim(_ newest: Int64, _ cutoff: (UInt32) -> Int64?) throws -> Int {
      let batch = open.store.makeBatch()
      let count = try ledger.trim(before: newest, in: batch, cutoff: cutoff)
      try open.store.write(batch, sync: false)
      return count
    }
    // Patient 8 is under hold; patient 7's rows are kept for longer than those of others.
    #expect(try trim(3000) { $0 == 8 ? nil : $0 == 7 ? 1000 : 3000 } == 1)
    #expect(try ledger.list(limit: 10).map(\.patient) == [7, 7, 8, 7])
    #expect(try trim(1001) { $0 == 8 ? nil : 1001 } == 2)
    #expect(try ledger.list(limit: 10).map(\.patient) == [8, 7])
    #expect(try trim(1001) { _ in 1001 } == 1)
    #expect(try ledger.count() == 1)
  }

  @Test func damagedRowsAreErrorsThatNameThem() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    try EffectsWriter(store: open.store, shard: 0).write(effects())
    var key = KeyBuilder()
    key.append(UInt8(0x01))
    key.append(UInt64(2))
    try open.overwrite(open.store.families.outbox, key.bytes, with: [1, 2, 3])
    #expect(throws: JournalError.damaged(family: "outbox", position: 2, .tooShort(bytes: 3))) {
      try open.store.outbox.all()
    }
    try open.overwrite(
      open.store.families.state, [3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7], with: SealedValue.seal { $0.append(9) })
    let error = JournalError.damaged(family: "state", position: 7, .malformed("a field's length"))
    #expect(throws: error) { try open.store.state.load { _ in } }
    var reported: [JournalError] = []
    var found: [UInt32] = []
    try open.store.state.load(onDamage: { reported.append($0) }) { found.append($0.patient) }
    #expect(reported == [error] && found == [9])
  }

  /// Shards come to new rules one after the other: until the last has, a restart needs the states of the old ones.
  @Test func checkpointsUnderSeveralRulesStandSideBySide() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    let state = open.store.state
    let batch = open.store.makeBatch()
    for (rules, patient) in [(0, 7), (0, 9), (40, 7), (80, 7)] as [(UInt64, UInt32)] {
      state.put(PatientCheckpoint(patient: patient, position: rules + 1, rules: rules, bytes: [1]), in: batch)
    }
    try open.store.write(batch, sync: false)
    func patients(_ rules: UInt64) throws -> [UInt32] {
      var found: [UInt32] = []
      try state.load(rules: rules) { found.append($0.patient) }
      return found
    }
    #expect(try patients(0) == [7, 9] && patients(40) == [7] && patients(80) == [7])
    batch.clear()
    state.forget(rulesBefore: 80, in: batch)
    try open.store.write(batch, sync: false)
    #expect(try patients(0).isEmpty && patients(40).isEmpty && patients(80) == [7])
  }

  @Test func checkpointsWithoutRulesInTheirKeyAreTakenUp() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    let value = SealedValue.seal { out in
      out.append(littleEndian: UInt64(12))
      out.append(counted: [UInt8](arrayLiteral: 5))
    }
    try open.overwrite(open.store.families.state, [1, 0, 0, 0, 7], with: value)
    let batch = open.store.makeBatch()
    try open.store.state.moveOld(toRules: 3, in: batch)
    try open.store.write(batch, sync: false)
    var found: [PatientCheckpoint] = []
    try open.store.state.load(rules: 3) { found.append($0) }
    #expect(found == [PatientCheckpoint(patient: 7, position: 12, rules: 3, bytes: [5])])
    batch.clear()
    try open.store.state.moveOld(toRules: 9, in: batch)
    #expect(batch.isEmpty == false)
    try open.store.write(batch, sync: false)
    try open.store.state.load(rules: 9) { _ in Issue.record("taken up twice") }
  }

  /// Changed bytes with a right checksum, in every table: an error or another value, never a trap.
  @Test func resealedGarbageNeverTraps() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    let store = open.store
    try EffectsWriter(store: store, shard: 0).write(effects())
    try store.outbox.recordAttempt(2, timeMs: 5, status: 500, isDelivered: false, isFinal: false, detail: "busy")
    let names: [DirectoryEntry] = [
      .source(number: 1, text: "ecg"), .device(number: 0, tenant: "t", device: "d"),
      .series(number: 0, patient: 0, code: VitalCode(index: 0), device: 0, source: 1),
    ]
    try open.append(samples(1...1), entries: names)
    let batch = store.makeBatch()
    store.registry.put(JournalCounters(), in: batch)
    store.quarantine.put(
      QuarantineItem(
        reason: .malformed, receivedMs: 1, tenant: "t", device: "d", topic: "x", contentType: "y", observations: 1,
        bytes: [1]), in: batch)
    try store.write(batch, sync: false)
    let families = store.families
    var random = SplitMix64(state: 21)
    var refused = 0
    for family in [
      families.alerts, families.ledger, families.state, families.outbox, families.registry, families.quarantine,
    ] {
      var rows: [(key: [UInt8], value: [UInt8])] = []
      try Table(store: store.store, family: family).scan { (key, value) throws(JournalError) in
        rows.append(([UInt8](key), [UInt8](value)))
        return true
      }
      for row in rows {
        for _ in 0..<60 {
          var value = row.value
          if value.count > 5 { value[1 + Int(random.next() % UInt64(value.count - 5))] = random.integer() }
          if random.one(in: 3), value.count > 5 {
            value.removeSubrange(1..<(2 + Int(random.next() % UInt64(value.count - 5))))
          }
          reseal(&value)
          try open.overwrite(family, row.key, with: value)
          refused += refusals(store)
        }
        try open.overwrite(family, row.key, with: row.value)
      }
    }
    #expect(refused > 300)
    #expect(refusals(store) == 0)
  }

  /// How many of the ways to read refuse.
  private func refusals(_ store: VigilStore) -> Int {
    let reads: [() throws -> Void] = [
      { _ = try store.alerts.transitions(alertID: "a1") }, { _ = try store.alerts.list(limit: 99) },
      { _ = try store.alerts.count(phase: .start) }, { _ = try store.alerts.deliveries(alertID: "a1") },
      { _ = try store.ledger.list(limit: 99) }, { _ = try Recovery.plan(store) }, { try store.state.load { _ in } },
      { _ = try store.outbox.all() }, { _ = try store.registry.counters() },
      { try store.registry.restore(into: Directory(registry: testRegistry())) },
      { _ = try store.quarantine.counts() },
      { _ = try store.quarantine.get(QuarantineID(receivedMs: 1, ordinal: 1)) },
    ]
    return reads.count { read in
      do {
        try read()
        return false
      } catch {
        return true
      }
    }
  }

  // MARK: Outbox

  @Test func aDeliveredWebhookIsNotQueuedAgain() throws {
    var open = try OpenStore()
    try EffectsWriter(store: open.store, shard: 0).write(effects())
    #expect(try open.store.outbox.recordAttempt(1, timeMs: 50, status: 503, isDelivered: false, isFinal: false))
    #expect(try open.store.outbox.recordAttempt(1, timeMs: 90, status: 200, isDelivered: true, isFinal: true))
    #expect(try open.store.outbox.remove(3, atMs: 200))
    #expect(try !open.store.outbox.recordAttempt(1, timeMs: 99, status: 200, isDelivered: true, isFinal: true))
    #expect(try !open.store.outbox.remove(1, atMs: 99))
    try open.restart()
    defer { open.store.close() }
    let outbox = open.store.outbox
    #expect(try outbox.all().map(\.order) == [2])
    #expect(try EffectsWriter(store: open.store, shard: 0).write(effects()).isEmpty)
    #expect(try outbox.all().map(\.row) == [outboxRow("w1", receiver: "night")])
    let tries = try open.store.alerts.deliveries(alertID: "a1")
    #expect(tries.map(\.status) == [503, 200] && tries.map(\.attempt) == [1, 2])
    #expect(tries.map(\.isDelivered) == [false, true] && tries[1].receiver == "ward")
    // Once the mark has gone the pair is new; orders never come twice.
    #expect(try outbox.trimMarks(olderThan: 100) == 1)
    #expect(try !outbox.isKnown(receiver: "ward", webhookID: "w1"))
    #expect(try outbox.isKnown(receiver: "ward", webhookID: "w2"))
    let queued = try EffectsWriter(store: open.store, shard: 0).write(effects())
    #expect(queued.map(\.order) == [4])
  }

  @Test func ordersGoOnAfterARestartWithAnEmptyOutbox() throws {
    var open = try OpenStore()
    try EffectsWriter(store: open.store, shard: 0).write(effects())
    for order: UInt64 in 1...3 { try open.store.outbox.remove(order, atMs: 1) }
    try open.restart()
    defer { open.store.close() }
    var more = Effects()
    more.outbox = [outboxRow("w3")]
    #expect(try EffectsWriter(store: open.store, shard: 0).write(more).map(\.order) == [4])
  }

  @Test func triesAreCountedInTheRow() throws {
    var open = try OpenStore()
    try EffectsWriter(store: open.store, shard: 0).write(effects())
    for time: Int64 in 1...3 {
      try open.store.outbox.recordAttempt(
        2, timeMs: time, status: 0, isDelivered: false, isFinal: false, detail: "no route to host")
    }
    try open.restart()
    defer { open.store.close() }
    let row = try #require(try open.store.outbox.all().first { $0.order == 2 })
    #expect(row.attempts == 3 && row.lastAttemptMs == 3)
    #expect(try open.store.alerts.deliveries(alertID: "a1").last?.detail == "no route to host")
  }
}
