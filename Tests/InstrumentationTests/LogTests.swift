import Foundation
import Instrumentation
import Synchronization
import Testing

@Suite struct LogTests {
  /// Collects lines instead of writing them.
  private final class Lines: Sendable {
    private let lines = Mutex<[String]>([])

    func take(_ line: [UInt8]) { lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) } }

    var all: [String] { lines.withLock { $0 } }
  }

  private let lines = Lines()
  private let clock = ManualClock(wallMilliseconds: 1_767_225_600_123)

  private func log(_ level: LogLevel = .info) -> Log {
    let lines = lines
    return Log(level: level, clock: clock) { lines.take($0) }
  }

  private func parsed(_ line: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
  }

  @Test func oneObjectALine() {
    log().warning(
      "MQTTIngress", "broker refused",
      [
        "code": 5, "retry": true, "ratio": 0.5, "host": "a.example", "count": LogValue(UInt64.max),
        "rate": .double(.nan),
      ])
    #expect(
      lines.all == [
        #"{"time":"2026-01-01T00:00:00.123Z","level":"warning","room":"MQTTIngress","message":"broker refused","#
          + #""code":5,"retry":true,"ratio":0.5,"host":"a.example","count":9223372036854775807,"rate":"nan"}"# + "\n"
      ])
  }

  @Test func levelsBelowTheLineAreSilentAndMayChange() {
    let log = log(.warning)
    log.debug("Room", "a")
    log.info("Room", "b")
    log.limited(.info, every: 1, "Room", "c")
    #expect(lines.all.isEmpty)
    log.level = .debug
    log.debug("Room", "d")
    log.error("Room", "e")
    #expect(lines.all.count == 2)
    #expect(LogLevel(name: "error") == .error && LogLevel(name: "loud") == nil)
  }

  @Test func valuesCannotForgeLinesOrFields() throws {
    let hostile = "a\"b\\c\nd\r\te\u{0}\u{7F}é\u{1F600}"
    log().info("Room", "said", ["text": .string(hostile)])
    let line = try #require(lines.all.first)
    #expect(line.dropLast().contains("\n") == false)
    #expect(try parsed(line)["text"] as? String == hostile)
  }

  @Test func linesStayWithinOneWrite() throws {
    let long = String(repeating: "é", count: 4_000)
    log().info(
      "Room", "long",
      [
        "a": .string(long), "b": .string(long), "c": .string(long), "d": .string(long), "e": .string(long),
        "f": .string(long), "g": .string(long), "h": .string(long), "i": 1,
      ])
    let line = try #require(lines.all.first)
    #expect(line.utf8.count <= Log.lineBytesMax)
    let object = try parsed(line)
    #expect(object["truncated"] as? Bool == true)
    #expect((object["a"] as? String)?.utf8.count == 515)
    #expect(object["i"] as? Int == 1)
  }

  @Test func floodIsOneLineAnIntervalWithItsCount() throws {
    let log = log()
    for _ in 0..<1_000 { log.limited(.warning, every: 10, "Room", "flood", ["n": 1]) }
    #expect(lines.all.count == 1)
    clock.advance(milliseconds: 9_999)
    log.limited(.warning, every: 10, "Room", "flood")
    log.limited(.warning, every: 10, "Other", "flood")
    #expect(lines.all.count == 2)
    clock.advance(milliseconds: 1)
    log.limited(.warning, every: 10, "Room", "flood")
    #expect(lines.all.count == 3)
    #expect(try parsed(lines.all[2])["suppressed"] as? Int == 1_000)
    log.limited(.warning, every: 10, "Room", "flood")
    log.flushSuppressed()
    log.flushSuppressed()
    #expect(lines.all.count == 4)
    #expect(try parsed(lines.all[3])["suppressed"] as? Int == 1)
  }

  @Test(arguments: [
    (Int64(0), "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
    (951_782_400_000, "2000-02-29T00:00:00.000Z"), (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
    (4_107_542_400_000, "2100-03-01T00:00:00.000Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
  ])
  func timestamps(milliseconds: Int64, text: String) {
    #expect(timestampText(milliseconds: milliseconds) == text)
  }

  @Test func manualClockMovesOnlyWhenTold() {
    let clock = ManualClock(wallMilliseconds: 5, monotonicNanoseconds: 7)
    #expect(clock.wallMilliseconds() == 5 && clock.monotonicNanoseconds() == 7)
    clock.advance(milliseconds: 2)
    #expect(clock.wallMilliseconds() == 7 && clock.monotonicNanoseconds() == 2_000_007)
    clock.setWall(milliseconds: 1)
    #expect(clock.wallMilliseconds() == 1 && clock.monotonicNanoseconds() == 2_000_007)
    let system = SystemClock()
    let before = system.monotonicNanoseconds()
    #expect(system.monotonicNanoseconds() >= before && system.wallMilliseconds() > 1_600_000_000_000)
  }
}
