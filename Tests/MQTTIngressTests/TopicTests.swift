import MQTTIngress
import Testing

private func withBytes<Result>(_ text: String, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
  Array(text.utf8).withUnsafeBytes(body)
}

private func native(_ text: String) -> [String]? {
  withBytes(text) { bytes in
    TopicScheme.match(bytes).map {
      [
        String(decoding: bytes[$0.tenant], as: UTF8.self), String(decoding: bytes[$0.device], as: UTF8.self),
        $0.channel.rawValue,
      ]
    }
  }
}

@Suite struct TopicSchemeTests {
  @Test func nativeTopics() {
    for channel in TopicChannel.allCases {
      #expect(native("vigil/v1/demo/d-9/\(channel.rawValue)") == ["demo", "d-9", channel.rawValue])
    }
  }

  @Test(arguments: [
    "", "vigil", "vigil/v1/", "vigil/v1/demo/d/vital", "vigil/v1/demo/d/vitalss", "vigil/v1/demo/d/vitals/",
    "vigil/v1/demo//vitals", "vigil/v1//d/vitals", "vigil/v2/demo/d/vitals", "/vigil/v1/demo/d/vitals",
    "vigil/v1/demo/d", "vigil/v1/demo/d/", "vigil/v1/$status/c/status", "vigil/v1/demo/d/e/vitals", "Vigil/v1/a/b/wave",
  ])
  func othersAreNot(topic: String) { #expect(native(topic) == nil) }
}

@Suite struct TopicFilterTests {
  @Test(arguments: [
    ("a/b", "a/b", true), ("a/b", "a", false), ("a", "a/b", false), ("a/+", "a/b", true), ("a/+", "a/", true),
    ("a/+", "a", false), ("+", "a", true), ("+", "", true), ("+/+", "/a", true), ("/+", "/a", true), ("+", "/a", false),
    ("#", "a/b/c", true), ("a/#", "a", true), ("a/#", "a/", true), ("a/#", "a/b/c", true), ("a/#", "ab", false),
    ("#", "$SYS/x", false), ("+/x", "$SYS/x", false), ("$SYS/#", "$SYS/x", true), ("$share/g/a/+", "a/b", true),
    ("$share/g/#", "$SYS/x", false), ("a/+/c/#", "a/b/c", true), ("a/+/c/#", "a/b/d", false),
  ])
  func matches(filter: String, topic: String, expected: Bool) throws {
    let parsed = try TopicFilter(filter)
    #expect(withBytes(topic) { parsed.matches($0) } == expected)
  }

  @Test(arguments: ["", "a+", "a/b+/c", "#/a", "a/#/b", "a#", "$share/g", "$share//a", "$share/+/a", "$share/g/"])
  func wrongFilters(filter: String) { #expect(throws: TopicMapError.self) { try TopicFilter(filter) } }

  /// Every filter and topic of up to four levels over a small alphabet, against the definition written as recursion.
  @Test func exhaustive() throws {
    func all(_ levels: [String], upTo depth: Int) -> [[String]] {
      (1...depth).flatMap { length in
        (0..<length).reduce([[]]) { lists, _ in lists.flatMap { list in levels.map { list + [$0] } } }
      }
    }
    func plain(_ filter: ArraySlice<String>, _ topic: ArraySlice<String>) -> Bool {
      guard let head = filter.first else { return topic.isEmpty }
      if head == "#" { return true }
      guard let level = topic.first, head == "+" || head == level else { return false }
      return plain(filter.dropFirst(), topic.dropFirst())
    }
    let topics = all(["a", "", "$s"], upTo: 4).filter { $0 != [""] }
    for filter in all(["a", "", "+", "#"], upTo: 4) where filter != [""] && !filter.dropLast().contains("#") {
      let parsed = try TopicFilter(filter.joined(separator: "/"))
      for topic in topics {
        let reserved = topic[0] == "$s" && (filter[0] == "+" || filter[0] == "#")
        let expected = !reserved && plain(filter[...], topic[...])
        let found = withBytes(topic.joined(separator: "/")) { parsed.matches($0) }
        #expect(found == expected, "\(filter) against \(topic)")
      }
    }
  }
}

@Suite struct TopicMapTests {
  private func match(_ map: inout TopicMap, _ topic: String) -> TopicMatch? {
    withBytes(topic) { map.match($0) }
  }

  @Test func configuredLayoutsComeFirst() throws {
    let heartRate = try TopicMapping(
      filter: "ward/+/mon/+/hr", tenant: "ward", device: "$2", code: "hr", format: .number)
    let generic = try TopicMapping(filter: "$share/g/site/+/+/+", tenant: "$1", device: "$2", code: "$3", format: .text)
    var map = TopicMap([heartRate, generic])
    for _ in 0..<2 {
      #expect(
        match(&map, "ward/7/mon/m-3/hr")
          == TopicMatch(tenant: "ward", device: "m-3", channel: .vitals, code: "hr", format: .number))
      #expect(
        match(&map, "site/s/d/spo2")
          == TopicMatch(tenant: "s", device: "d", channel: .vitals, code: "spo2", format: .text))
      #expect(
        match(&map, "vigil/v1/demo/d-9/wave")
          == TopicMatch(tenant: "demo", device: "d-9", channel: .wave, code: nil, format: .json))
      #expect(match(&map, "ward/7/mon//hr") == nil)
      #expect(match(&map, "elsewhere") == nil)
    }
  }

  @Test func cacheIsBoundedAndRight() throws {
    var map = TopicMap()
    for index in 0..<(TopicMap.cacheCapacity + 100) {
      #expect(match(&map, "vigil/v1/t/d\(index)/vitals")?.device == "d\(index)")
    }
    #expect(match(&map, "vigil/v1/t/d0/vitals")?.device == "d0")
  }

  private struct Wrong: Sendable {
    var filter = "a/+"
    var tenant = "t"
    var device = "$1"
    var code: String? = "hr"
    var format = TopicFormat.number
    let expected: String
  }

  @Test func wrongMappings() {
    let cases = [
      Wrong(device: "$2", expected: "device $2: the filter has 1 wildcards: use $1 to $1"),
      Wrong(
        filter: "a/b", expected: "device $1: the filter has 0 wildcards: write a word, or put + into the filter"),
      Wrong(filter: "a/#", expected: "device $1: # may stand for several levels: use + for that level"),
      Wrong(tenant: "", expected: "tenant is empty: write a word or $1, $2, ..."),
      Wrong(device: "$x", expected: "device $x: the filter has 1 wildcards: use $1 to $1"),
      Wrong(
        code: nil, format: .text,
        expected: "format text without a code: add code: KEY, or code: $n when a level names it"),
      Wrong(filter: "a/#/b", device: "x", format: .json, expected: "# before the last level: use + for one level"),
    ]
    for wrong in cases {
      let error = #expect(throws: TopicMapError.self) {
        try TopicMapping(
          filter: wrong.filter, tenant: wrong.tenant, device: wrong.device, code: wrong.code, format: wrong.format)
      }
      #expect(error?.description == "topic filter \(wrong.filter): \(wrong.expected)")
    }
  }
}
