import Foundation
import Suppression
import TestSupport
import Testing
import VitalModel

private let terms = AlertLife.Terms(latches: true, realarm: 600_000, waits: [60_000, 120_000], quiet: 1_800_000)

/// Every life that can be reached, and what each input does to it.
@Suite struct AlertLifeTests {
  /// What tells two lives apart, times put as "set" or "not set".
  private struct Shape: Hashable {
    var stage: AlertLife.Stage
    var isPresent: Bool
    var isRecurrent: Bool
    var level: UInt8
    var isCalling: Bool
    var realarms: Bool
    var quiets: Bool

    init(_ life: AlertLife) {
      stage = life.stage
      isPresent = life.isPresent
      isRecurrent = life.isRecurrent
      level = life.level
      isCalling = life.respondBy < .max
      realarms = life.realarmAt < .max
      quiets = life.quietAt < .max
    }
  }

  /// All lives reachable from a new alert, by every input at its earliest meaningful time.
  private static func reachable(_ terms: AlertLife.Terms) -> [(life: AlertLife, now: Int64)] {
    var found: [(life: AlertLife, now: Int64)] = []
    var seen: Set<Shape> = []
    var queue = [false, true].map { (life: AlertLife(now: 0, terms: terms, isRecurrent: $0), now: Int64(0)) }
    while let next = queue.popLast() {
      guard seen.insert(Shape(next.life)).inserted else { continue }
      found.append(next)
      for input in AlertLife.Input.allCases {
        var life = next.life
        let now = input == .due && life.nextDue < .max ? max(next.now, life.nextDue) : next.now + 1
        _ = life.apply(input, now: now, terms: terms)
        queue.append((life, now))
      }
    }
    return found
  }

  @Test("no illegal life is reachable by any sequence of inputs", arguments: [true, false])
  func legal(latches: Bool) {
    var own = terms
    own.latches = latches
    let lives = AlertLifeTests.reachable(own)
    #expect(lives.count > 15)
    for (life, now) in lives {
      #expect(life.stage != .ended || (life.nextDue == .max && !life.isPresent), "an ended alert waits for nothing")
      #expect(life.respondBy == .max || life.stage == .told, "who answered is not called")
      #expect(life.realarmAt == .max || life.respondBy == .max, "who is being called is not told again besides")
      #expect(life.quietAt == .max || (life.isRecurrent && !life.isPresent))
      #expect(life.stage == .ended || life.isPresent || life.isRecurrent || latches, "only latching keeps what is over")
      #expect(life.isPresent || life.isRecurrent || life.stage == .told || life.stage == .ended)
      #expect(Int(life.level) <= own.waits.count)
      #expect(life.lastTold <= now)
      #expect((life.state == .latched) == (life.stage != .ended && !life.isPresent))
      #expect(AlertLife(fields: life.fields) == life)
    }
  }

  @Test("every transition of every reachable life, time included")
  func table() throws {
    var lines: Set<String> = []
    for (life, now) in AlertLifeTests.reachable(terms) {
      for input in AlertLife.Input.allCases {
        var after = life
        let at = input == .due && life.nextDue < .max ? max(now, life.nextDue) : now + 1
        let output = after.apply(input, now: at, terms: terms)
        lines.insert("\(Self.name(life)) | \(input) | \(Self.name(output)) | \(Self.name(after))")
      }
    }
    let page =
      "life | input | output | life after\n--- | --- | --- | ---\n" + lines.sorted().joined(separator: "\n") + "\n"
    let path = RepositoryRoot.path + "/Tests/SuppressionTests/Golden/alert-life.md"
    if ProcessInfo.processInfo.environment["VIGIL_REWRITE_GOLDEN"] != nil {
      try page.write(toFile: path, atomically: true, encoding: .utf8)
    }
    let golden = try String(contentsOfFile: path, encoding: .utf8)
    #expect(page == golden, "VIGIL_REWRITE_GOLDEN=1 writes it anew")
  }

  private static func name(_ life: AlertLife) -> String {
    if life.stage == .ended { return "ended" }
    var name = "\(life.stage)"
    if life.isRecurrent { name += ", recurrent" }
    if !life.isPresent { name += ", gone" }
    if life.level > 0 { name += ", level \(life.level)" }
    if life.respondBy < .max { name += ", calling" }
    if life.realarmAt < .max { name += ", to be told again" }
    return name
  }

  private static func name(_ output: AlertLife.Output) -> String {
    switch output {
    case .nothing: "nothing"
    case .noted: "noted"
    case .told(let phase): "told: \(phase.rawValue)"
    case .realarmed: "told again"
    case .ended(let why): "ended: \(why.rawValue)"
    }
  }

  @Test("a ladder is climbed step by step, rejection climbs at once, an answer stops it")
  func ladder() {
    var life = AlertLife(now: 0, terms: terms)
    #expect(life.respondBy == 60_000)
    #expect(life.apply(.due, now: 60_000, terms: terms) == .told(.escalate))
    #expect(life.level == 1 && life.respondBy == 180_000)
    #expect(life.apply(.rejected, now: 100_000, terms: terms) == .told(.escalate))
    #expect(life.level == 2 && life.respondBy == .max && life.realarmAt == 700_000)
    #expect(life.apply(.rejected, now: 101_000, terms: terms) == .noted)
    #expect(life.nextDue == 701_000, "at its end the ladder is climbed anew after the re-alarm time")
    #expect(life.apply(.accepted, now: 102_000, terms: terms) == .noted)
    #expect(life.nextDue == 702_000 && life.stage == .accepted)
  }

  @Test("D5: accepted or acknowledged alerts re-alarm if still true after the time of their priority")
  func realarm() {
    for answer in [AlertLife.Input.accepted, .acknowledged] {
      var life = AlertLife(now: 0, terms: terms)
      #expect(life.apply(answer, now: 5000, terms: terms) == .noted)
      #expect(life.apply(.due, now: 604_999, terms: terms) == .nothing)
      #expect(life.apply(.due, now: 605_000, terms: terms) == .realarmed)
      #expect(life.stage == .told && life.level == 0 && life.respondBy == 665_000)
    }
  }

  @Test("D4: a recurrent alert stays through returns, is told again only after the re-alarm time, and ends when quiet")
  func recurrent() {
    var life = AlertLife(now: 0, terms: terms, isRecurrent: true)
    #expect(life.apply(.conditionEnded, now: 10_000, terms: terms) == .noted)
    #expect(life.state == .latched && life.quietAt == 1_810_000)
    #expect(life.apply(.conditionReturned, now: 20_000, terms: terms) == .noted)
    #expect(life.apply(.conditionEnded, now: 30_000, terms: terms) == .noted)
    #expect(life.apply(.conditionReturned, now: 600_000, terms: terms) == .realarmed)
    #expect(life.apply(.worsened, now: 601_000, terms: terms) == .told(.escalate))
    #expect(life.apply(.conditionEnded, now: 700_000, terms: terms) == .noted)
    #expect(life.apply(.due, now: 2_500_000, terms: terms) == .ended(.quiet))
  }

  @Test("invariant 5: whatever came before, a worsening of an alert that has not ended is told", arguments: 0..<50)
  func worseningIsAlwaysTold(seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed))
    var life = AlertLife(now: 0, terms: terms, isRecurrent: seed % 2 == 0)
    var now: Int64 = 0
    for _ in 0..<200 {
      now += Int64.random(in: 0...900_000, using: &generator)
      let input = AlertLife.Input.allCases.randomElement(using: &generator) ?? .due
      let wasEnded = life.stage == .ended
      let output = life.apply(input, now: now, terms: terms)
      if input == .worsened, !wasEnded { #expect(output == .told(.escalate), "seed \(seed)") }
      if wasEnded { #expect(output == .nothing, "seed \(seed)") }
    }
  }
}

/// The stages one by one: what each holds, for how long, and that none holds what is beyond the level told.
@Suite struct NotificationStageTests {
  private static func claim(
    _ priority: Priority = .medium, own: Priority? = nil, bypass: Bool = false, worse: Bool = false
  ) -> Claim {
    Claim(
      rule: "low", kind: .physiological, ownPriority: own ?? priority, priority: priority, isBypass: bypass,
      isWorsening: worse, now: 1_000_000)
  }

  private static let silence = Silence(
    id: "s1", matcher: .rule("low"), author: "u-1", reason: "turning", from: 900_000, until: 99_000_000)

  private static let stages: [any NotificationStage] = [
    InhibitionStage(by: "lead-off", lasts: .max, since: 1_000_000, longest: 1_800_000),
    RefractoryStage(until: 1_300_000), SilenceStage([silence]), AcknowledgedStage(until: 1_600_000),
    BudgetStage(told: [900_000, 950_000], limit: 2, owner: "the patient's budget"),
  ]

  @Test("D1: every stage yields to bypass, to a higher priority and to worsening")
  func piercing() {
    for stage in Self.stages {
      #expect(stage.verdict(on: Self.claim(.low)) != nil, "\(type(of: stage))")
      #expect(stage.verdict(on: Self.claim(.low, bypass: true)) == nil, "\(type(of: stage))")
      #expect(stage.verdict(on: Self.claim(.low, worse: true)) == nil, "\(type(of: stage))")
      #expect(stage.verdict(on: Self.claim(.medium, own: .low)) == nil, "\(type(of: stage))")
    }
  }

  @Test("D1: inhibition has a cap of its own and ends with the state that explains it")
  func inhibition() {
    var stage = InhibitionStage(by: "procedure", lasts: 1_200_000, since: 1_000_000, longest: 1_800_000)
    #expect(stage.verdict(on: Self.claim())?.until == 1_200_000)
    stage.lasts = .max
    #expect(stage.verdict(on: Self.claim())?.until == 2_800_000)
    stage.since = -900_000
    #expect(stage.verdict(on: Self.claim()) == nil)
    stage.by = nil
    #expect(stage.verdict(on: Self.claim()) == nil)
  }

  @Test("D5: a silence holds a high alert for at most 10 min, a medium one for 2 h, a low one for 12 h")
  func silenceLimits() {
    let stage = SilenceStage([Self.silence])
    #expect(stage.verdict(on: Self.claim(.high))?.until == Int64(1_500_000))
    #expect(stage.verdict(on: Self.claim(.medium))?.until == Int64(8_100_000))
    #expect(stage.verdict(on: Self.claim(.low))?.until == Int64(44_100_000))
    var other = Self.silence
    other.matcher = .rule("other")
    #expect(SilenceStage([other]).verdict(on: Self.claim()) == nil)
    other.matcher = .kind(.physiological)
    #expect(SilenceStage([other]).verdict(on: Self.claim()) != nil)
    other.until = 1_000_000
    #expect(SilenceStage([other]).verdict(on: Self.claim()) == nil)
  }

  @Test("D4: the budget never holds medium or high alerts, and frees itself as the day passes")
  func budget() {
    let stage = BudgetStage(told: [900_000, 950_000], limit: 2, owner: "b")
    #expect(stage.verdict(on: Self.claim(.medium)) == nil)
    #expect(stage.verdict(on: Self.claim(.high)) == nil)
    #expect(stage.verdict(on: Self.claim(.low))?.until == Int64(87_300_000))
    #expect(BudgetStage(told: [900_000], limit: 2, owner: "b").verdict(on: Self.claim(.low)) == nil)
    #expect(BudgetStage(told: [900_000], limit: 0, owner: "b").verdict(on: Self.claim(.low)) == nil)
  }

  @Test("D4: the start that makes too many within the time is recurrent")
  func flap() {
    let settings = FlapSettings(count: 3, within: 1000, quiet: 500)
    #expect(FlapStage(settings: settings, starts: [100, 200]).recurrence(at: 1000) == 3)
    #expect(FlapStage(settings: settings, starts: [0, 200]).recurrence(at: 1000) == nil)
    #expect(FlapStage(settings: .never, starts: [998, 999]).recurrence(at: 1000) == nil)
  }

  @Test("smart delay: the deeper the shorter, half at its depth, never longer than the hold")
  func smartDelay() {
    let delay = SmartDelay(halvesAt: 4)
    #expect(delay.hold(15_000, depth: 0) == 15_000)
    #expect(delay.hold(15_000, depth: -3) == 15_000)
    #expect(delay.hold(15_000, depth: .nan) == 15_000)
    #expect(delay.hold(15_000, depth: 4) == 7500)
    #expect(delay.hold(15_000, depth: 8) == 5000)
    var last: Int64 = .max
    for depth in stride(from: 0.0, through: 30, by: 0.5) {
      let hold = delay.hold(15_000, depth: depth)
      #expect(hold <= last && hold <= 15_000)
      last = hold
    }
  }
}
