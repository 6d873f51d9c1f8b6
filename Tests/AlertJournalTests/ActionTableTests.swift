import KeyValueStore
import Testing
import VitalModel

@testable import AlertJournal
import Pipeline

@Suite struct ActionTableTests {
  private static func silence(_ number: Int, from: Int64, _ matcher: Silence.Matcher = .rule("low")) -> Silence {
    Silence(
      id: "s-\(1000 + number)", matcher: matcher, author: "u-1", reason: "a test", from: from, until: from + 1000)
  }

  private func put(
    _ action: AlertAction, at position: UInt64, time: Int64 = 0, mark: ActionMark? = nil, _ store: VigilStore
  ) throws {
    let batch = store.makeBatch()
    try store.actions.put(action, patient: 7, position: position, time: time, mark: mark, in: batch)
    try store.write(batch, sync: false)
  }

  @Test func silencesComeBackNewestFirstWithTheirEnds() throws {
    var open = try OpenStore()
    let first = ActionTableTests.silence(1, from: 1000)
    let second = ActionTableTests.silence(2, from: 1500, .kind(.technical))
    try put(.silence(first), at: 3, open.store)
    try put(.silence(second), at: 4, open.store)
    try put(.endSilence(id: first.id, by: "u-2"), at: 5, time: 1700, open.store)
    try open.restart()
    let found = try open.store.actions.silences(limit: 10)
    #expect(found.map(\.silence) == [second, first])
    #expect(found.map(\.position) == [4, 3] && found.map(\.patient) == [7, 7])
    #expect(found[1].endedBy == "u-2" && found[1].endedAt == 1700 && found[0].endedBy == nil)
    #expect(found[0].isInForce(at: 1500) && found[0].isInForce(at: 2499))
    #expect(!found[0].isInForce(at: 2500) && !found[0].isInForce(at: 1499) && !found[1].isInForce(at: 1600))
    #expect(try open.store.actions.silences(from: 1500, limit: 10).map(\.silence) == [second])
    #expect(try open.store.actions.silence(first.id) == found[1])
    #expect(try open.store.actions.silence("s-none") == nil)
  }

  @Test func marksAreForgottenWhenTheyExpireAndRequestsBeyondTheirNumber() throws {
    let open = try OpenStore()
    func mark(_ kind: ActionMark.Kind, _ number: UInt8, expires: Int64) -> ActionMark {
      ActionMark(
        kind: kind, digest: [UInt8](repeating: number, count: 32), expires: expires, request: [1, 2], made: "s-1")
    }
    let accept = AlertAction.accept(alertID: "a-1", by: "u-1")
    for number in UInt8(0)..<6 {
      try put(accept, at: UInt64(number) + 1, mark: mark(.request, number, expires: 100 + Int64(number)), open.store)
      try put(accept, at: UInt64(number) + 11, mark: mark(.token, number, expires: 100 + Int64(number)), open.store)
    }
    let found = try #require(try open.store.actions.mark(.request, [UInt8](repeating: 2, count: 32)))
    #expect(found.position == 3 && found.request == [1, 2] && found.made == "s-1" && found.expires == 102)
    #expect(try open.store.actions.mark(.token, [UInt8](repeating: 2, count: 32))?.position == 13)
    let batch = open.store.makeBatch()
    try open.store.actions.trim(now: 101, silencesOver: 0, requestsKept: 2, in: batch)
    try open.store.write(batch, sync: false)
    #expect(try open.store.actions.markCount(.request) == 2 && open.store.actions.markCount(.token) == 4)
    #expect(try open.store.actions.mark(.request, [UInt8](repeating: 3, count: 32)) == nil)
    #expect(try open.store.actions.mark(.request, [UInt8](repeating: 4, count: 32)) != nil)
    #expect(try open.store.actions.mark(.token, [UInt8](repeating: 1, count: 32)) == nil)
    #expect(try open.store.actions.mark(.token, [UInt8](repeating: 2, count: 32)) != nil)
  }

  @Test func silencesGoWithTheirEndsWhenTheyAreOldEnough() throws {
    let open = try OpenStore()
    for number in 1...4 {
      let silence = ActionTableTests.silence(number, from: Int64(number) * 1000)
      try put(.silence(silence), at: UInt64(number), open.store)
      try put(.endSilence(id: silence.id, by: "u-2"), at: UInt64(number) + 10, open.store)
    }
    let batch = open.store.makeBatch()
    try open.store.actions.trim(now: 0, silencesOver: 3001, in: batch)
    try open.store.write(batch, sync: false)
    #expect(try open.store.actions.silences(limit: 10).map(\.silence.from) == [4000, 3000])
    // The registry keeps what else it holds.
    #expect(try open.store.registry.counters() == JournalCounters())
  }

  @Test func theIndexOfActiveAlertsFollowsTheirTransitions() throws {
    var open = try OpenStore()
    func write(_ transitions: [Transition]) throws {
      let batch = open.store.makeBatch()
      for transition in transitions { try open.store.alerts.put(transition, in: batch) }
      try open.store.write(batch, sync: false)
    }
    try write([transition("a1"), transition("a2", patient: 3), transition("a3", patient: 9)])
    try write([transition("a1", 2, detected: 2000, phase: .escalate), transition("a3", 2, patient: 9, phase: .end)])
    #expect(try open.store.alerts.active().map(\.alertID) == ["a2", "a1"])
    #expect(try open.store.alerts.active().map(\.sequence) == [1, 2])
    #expect(try open.store.alerts.active(limit: 1).map(\.alertID) == ["a2"])
    // Derived again after a crash: what has ended stays ended.
    try write([transition("a3", patient: 9)])
    #expect(try open.store.alerts.active().map(\.alertID) == ["a2", "a1"])
    // A store from before there was an index: it lists the same, and has one from its next opening on.
    let batch = open.store.makeBatch()
    batch.deleteRange(open.store.families.alerts, start: [0x05], end: [0x06])
    batch.delete(open.store.families.alerts, key: [0x00])
    try open.store.write(batch, sync: false)
    #expect(try open.store.alerts.active().map(\.alertID) == ["a2", "a1"])
    try open.restart()
    #expect(try open.store.store.get(open.store.families.alerts, key: [0x00]) != nil)
    #expect(try open.store.alerts.active().map(\.alertID) == ["a2", "a1"])
  }
}
