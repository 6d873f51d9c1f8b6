import Suppression
import TestSupport
import Testing
import VitalModel

/// One rule on one series, a character a second: `.` no, `x` breach, `!` bypass, `?` unknown; deadlines run in between.
private func strip(_ text: String, hold: Int64, window: Int64, clearFor: Int64 = 0) -> [String] {
  var episode = Episode()
  let timing = EpisodeTiming(hold: hold * 1000, window: window * 1000, clearFor: clearFor * 1000)
  var lines: [String] = []
  func note(_ change: EpisodeChange, _ now: Int64) {
    let second = now % 1000 == 0 ? "\(now / 1000)" : "\(Double(now) / 1000)"
    switch change {
    case .none, .pending: return
    case .met(let onset): lines.append("\(second) met \(onset / 1000)")
    case .bypassed(let onset): lines.append("\(second) bypassed \(onset / 1000)")
    case .dropped(let stage, let onset): lines.append("\(second) \(stage.rawValue) \(onset / 1000)")
    case .gated(let onset): lines.append("\(second) gated \(onset / 1000)")
    case .recrossed(let onset): lines.append("\(second) recrossed \(onset / 1000)")
    case .closed: lines.append("\(second) closed")
    }
  }
  var last = Judgement(when: .no, clear: .yes, bypass: .no)
  for (index, character) in text.enumerated() {
    let now = Int64(index) * 1000
    while episode.due <= now {
      let due = episode.due
      episode.due = .max
      note(episode.observe(last, now: due, timing: timing), due)
    }
    switch character {
    case "x": last = Judgement(when: .yes, clear: .no, bypass: .no)
    case "!": last = Judgement(when: .yes, clear: .no, bypass: .yes)
    case "?": last = Judgement(when: .unknown, clear: .unknown, bypass: .unknown)
    case "-": last = Judgement(when: .no, clear: .no, bypass: .no)
    default: last = Judgement(when: .no, clear: .yes, bypass: .no)
    }
    note(episode.observe(last, now: now, timing: timing), now)
  }
  return lines
}

private func times(_ parts: (String, Int)...) -> String {
  parts.map { String(repeating: $0.0, count: $0.1) }.joined()
}

@Suite struct EpisodeTests {
  @Test("B3: for is met when now minus onset reaches the hold")
  func hold() {
    #expect(strip(times((".", 2), ("x", 5)), hold: 4, window: 16) == ["6 met 2"])
    #expect(strip("x", hold: 0, window: 0) == ["0 met 0"])
  }

  @Test("D1: breach time adds up over the window, so repeated 14 s desaturations meet a 15 s hold")
  func cumulative() {
    let dips = times(("x", 14), (".", 6), ("x", 14))
    #expect(strip(dips, hold: 15, window: 60) == ["14 persistence 0", "21 met 0"])
  }

  @Test("D1: breach time outside the window does not count")
  func windowForgets() {
    #expect(strip(times(("x", 14), (".", 40), ("x", 4)), hold: 15, window: 60) == ["14 persistence 0", "55 met 0"])
    #expect(
      strip(times(("x", 14), (".", 60), ("x", 14), (".", 2)), hold: 15, window: 60)
        == ["14 persistence 0", "88 persistence 74"])
  }

  @Test("D1: a window no longer than the hold asks for one unbroken stretch")
  func windowOfTheHold() {
    #expect(strip(times(("x", 4), (".", 1), ("x", 4), (".", 1)), hold: 5, window: 5).allSatisfy { !$0.contains("met") })
  }

  @Test("D1: more short breaches than are remembered lose no time")
  func merging() {
    let dips = (0..<8).map { _ in times(("x", 2), (".", 2)) }.joined()
    // Two seconds of each of seven dips and one of the eighth; the oldest four are remembered as one stretch.
    #expect(strip(dips, hold: 15, window: 60).contains("29 met 6"))
  }

  @Test("D2: bypass opens at once, once per episode")
  func bypassOnce() {
    #expect(strip("!x!!x!", hold: 15, window: 60) == ["0 bypassed 0"])
    #expect(strip("xx!x!", hold: 15, window: 60) == ["2 bypassed 0"])
    #expect(strip("xxx!x!", hold: 2, window: 8) == ["2 met 0", "3 bypassed 0"])
    #expect(strip("!..!", hold: 2, window: 8, clearFor: 1) == ["0 bypassed 0", "2 closed", "3 bypassed 3"])
  }

  @Test("D2: an open episode clears only after the clear condition held")
  func hysteresis() {
    #expect(strip("xx..x....", hold: 1, window: 4, clearFor: 3) == ["1 met 0", "8 closed"])
    #expect(strip("xx-----", hold: 1, window: 4, clearFor: 3) == ["1 met 0"])
  }

  @Test("B7: unknown freezes a pending hold")
  func unknownFreezes() {
    #expect(strip(times(("x", 5), ("?", 20), ("x", 6)), hold: 10, window: 60) == ["30 met 0"])
    #expect(strip(times(("x", 5), ("?", 90)), hold: 10, window: 60) == [])
  }

  @Test("B7: unknown while clearing starts the clear anew")
  func unknownWhileClearing() {
    #expect(strip("xx..?...", hold: 1, window: 4, clearFor: 3) == ["1 met 0"])
    #expect(strip("xx..?....", hold: 1, window: 4, clearFor: 3) == ["1 met 0", "8 closed"])
  }

  @Test("B7: losing the signal drops a pending hold and keeps an open alert")
  func loseSignal() {
    let timing = EpisodeTiming(hold: 10_000, window: 40_000, clearFor: 5000)
    let breach = Judgement(when: .yes, clear: .no, bypass: .no)
    var pending = Episode()
    #expect(pending.observe(breach, now: 0, timing: timing) == .pending)
    #expect(pending.loseSignal(now: 5000) == .dropped(.stale, onset: 0))
    #expect(pending.phase == .idle && pending.due == .max)
    var open = Episode()
    _ = open.observe(breach, now: 0, timing: timing)
    #expect(open.observe(breach, now: 10_000, timing: timing) == .met(onset: 0))
    _ = open.observe(Judgement(when: .no, clear: .yes, bypass: .no), now: 11_000, timing: timing)
    #expect(open.phase == .clearing && open.due == 16_000)
    #expect(open.loseSignal(now: 12_000) == .none)
    #expect(open.phase == .open && open.due == .max)
  }

  @Test("invariant 5: no setting delays a bypass sample", arguments: 0..<200)
  func bypassIsNeverDelayed(seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed))
    let hold = Int64.random(in: 0...120_000, using: &generator)
    let timing = EpisodeTiming(
      hold: hold, window: hold * Int64.random(in: 1...4, using: &generator),
      clearFor: Int64.random(in: 0...120_000, using: &generator))
    var episode = Episode()
    var now: Int64 = 0
    var isTold = false
    for _ in 0..<400 {
      now += Int64.random(in: 1...20_000, using: &generator)
      let all: [Judgement.Truth] = [.no, .yes, .unknown]
      func any(_ generator: inout SeededGenerator) -> Judgement.Truth { all[Int.random(in: 0..<3, using: &generator)] }
      let bypass = Int.random(in: 0..<10, using: &generator) == 0 ? Judgement.Truth.yes : .no
      let judgement = Judgement(when: any(&generator), clear: any(&generator), bypass: bypass)
      let wasTold = isTold && episode.phase != .idle
      let change = episode.observe(judgement, now: now, timing: timing)
      if case .bypassed = change { isTold = true } else if case .closed = change { isTold = false }
      if bypass == .yes {
        #expect(episode.phase == .open && episode.isBypassed)
        if !wasTold { #expect(isTold) }
      }
    }
  }

  @Test("D1: the deadline is the first instant at which enough breach time is in the window", arguments: 0..<300)
  func deadlineIsExact(seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed))
    let hold = Int64.random(in: 1...60, using: &generator)
    let timing = EpisodeTiming(hold: hold, window: hold + Int64.random(in: 0...100, using: &generator), clearFor: 0)
    var episode = Episode()
    var breaches: [Bool] = []
    var now: Int64 = 0
    let no = Judgement(when: .no, clear: .yes, bypass: .no)
    let yes = Judgement(when: .yes, clear: .no, bypass: .no)
    // At most four earlier stretches: nothing is merged, so the plain count is exact.
    for _ in 0..<4 {
      let up = Int64.random(in: 1...hold, using: &generator)
      let down = Int64.random(in: 1...30, using: &generator)
      if case .met = episode.observe(yes, now: now, timing: timing) { return }
      if episode.due <= now + up { return }
      _ = episode.observe(no, now: now + up, timing: timing)
      breaches += Array(repeating: true, count: Int(up)) + Array(repeating: false, count: Int(down))
      now += up + down
    }
    if case .met = episode.observe(yes, now: now, timing: timing) { return }
    var plain = now
    while true {
      let from = max(0, plain - timing.window)
      let earlier = (from..<max(from, min(now, plain))).filter { breaches[Int($0)] }.count
      if Int64(earlier) + plain - max(now, from) >= hold { break }
      plain += 1
    }
    #expect(episode.due == plain)
  }
}
