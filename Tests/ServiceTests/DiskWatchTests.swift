import Instrumentation
import Testing

@testable import Service

@Suite struct DiskWatchTests {
  private let watch = DiskWatch(MetricRegistry())

  private func note(_ percent: Double, at now: Int64, warn: Double = 0.1) -> DiskWatch.Level? {
    watch.note(.init(bytes: 1 << 30, share: percent / 100), warn: warn, now: now)
  }

  @Test func eachLevelIsToldOnceAndAgainAfterAnHour() {
    #expect(note(50, at: 0) == nil)
    #expect(note(9.9, at: 1) == .low)
    #expect(note(9, at: 2) == nil)
    #expect(note(3.2, at: 3) == .nearlyFull)
    #expect(note(3.1, at: 4) == nil)
    #expect(note(3.1, at: 3 + DiskWatch.repeatInterval) == .nearlyFull)
  }

  @Test func aLevelIsLeftOnlyWithRoomToSpare() {
    #expect(note(9.9, at: 1) == .low)
    // A little more than the limit and back again is the same trouble.
    #expect(note(10.5, at: 2) == nil)
    #expect(note(9.9, at: 3) == nil)
    #expect(note(12, at: 4) == nil)
    #expect(note(9.9, at: 5) == .low)
  }

  @Test func withoutALimitNothingIsTold() {
    #expect(note(0.1, at: 1, warn: 0) == nil)
  }

  @Test func theRoomOfAPlaceIsRead() throws {
    let room = try #require(DiskWatch.Room.of("/"))
    #expect(room.share >= 0 && room.share <= 1)
    #expect(DiskWatch.Room.of("/no/such/place") == nil)
  }
}
