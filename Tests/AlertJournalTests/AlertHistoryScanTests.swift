import Pipeline
import Testing
import VitalModel

@testable import AlertJournal

@Suite struct AlertHistoryScanTests {
  @Test func everyAlertComesOnceWithItsTransitionsByStart() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    var effects = Effects()
    effects.output.transitions = [
      transition("b", 1, detected: 3000), transition("a", 1, patient: 9, detected: 1000),
      transition("a", 2, patient: 9, detected: 4000, phase: .update),
      transition("b", 2, detected: 3500, phase: .escalate), transition("a", 3, patient: 9, detected: 9000, phase: .end),
    ]
    effects.output.ledger = [
      ledgerRow(position: 1, patient: 7, detected: 1000, message: "first"),
      ledgerRow(position: 2, patient: 7, detected: 5000, message: "second"),
    ]
    try EffectsWriter(store: open.store, shard: 0).write(effects)
    func scan(_ start: Int64 = .min, _ end: Int64 = .max, limit: Int = .max) throws -> [String] {
      var found: [String] = []
      try open.store.alerts.forEachAlert(from: start, to: end) { (transitions) throws(JournalError) in
        found.append("\(transitions[0].alertID) \(transitions.map(\.sequence))")
        return found.count < limit
      }
      return found
    }
    #expect(try scan() == ["a [1, 2, 3]", "b [1, 2]"])
    // The start decides, and an alert is given whole.
    #expect(try scan(1000, 3000) == ["a [1, 2, 3]"])
    #expect(try scan(3001).isEmpty)
    #expect(try scan(limit: 1) == ["a [1, 2, 3]"])
    var rows = 0
    try open.store.ledger.forEach(from: 1001) { document in
      #expect(document.contains("second"))
      rows += 1
    }
    #expect(rows == 1)
  }
}
