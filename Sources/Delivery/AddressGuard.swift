import Glibc

/// Tells addresses of the outside world from those inside the house, so that a receiver's URL cannot be used to reach
/// a neighbour of this service (server-side request forgery).
///
/// Asked about the very address a socket is about to connect to, after resolution: a name that resolves differently
/// the second time changes nothing.
enum AddressGuard {
  /// Whether the address is globally reachable. Unknown families are not.
  ///
  /// - Parameter address: valid for as many bytes as its family says.
  static func isPublic(_ address: UnsafePointer<sockaddr>) -> Bool {
    switch Int32(address.pointee.sa_family) {
    case AF_INET:
      let raw = UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in.self)
      return isPublic(v4: UInt32(bigEndian: raw.sin_addr.s_addr))
    case AF_INET6:
      let raw = UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in6.self)
      return isPublic(v6: withUnsafeBytes(of: raw.sin6_addr) { Array($0) })
    default: return false
    }
  }

  /// The same for an address written out, as libcurl tells of a connection's far end. What cannot be read is not public.
  static func isPublic(text: String) -> Bool {
    var v4 = in_addr()
    if inet_pton(AF_INET, text, &v4) == 1 { return isPublic(v4: UInt32(bigEndian: v4.s_addr)) }
    var v6 = in6_addr()
    guard inet_pton(AF_INET6, text, &v6) == 1 else { return false }
    return isPublic(v6: withUnsafeBytes(of: v6) { Array($0) })
  }

  /// Whether a URL's host is an address, or `localhost`, that a proxy must not be asked for either.
  ///
  /// - Parameter host: as libcurl parses it; an IPv6 address in brackets.
  static func isForbidden(host: String) -> Bool {
    let name = host.hasSuffix(".") ? String(host.dropLast()) : host
    if name.lowercased() == "localhost" || name.lowercased().hasSuffix(".localhost") { return true }
    if name.hasPrefix("[") { return !isPublic(text: String(name.dropFirst().prefix { $0 != "]" && $0 != "%" })) }
    var v4 = in_addr()
    return inet_aton(name, &v4) != 0 && !isPublic(v4: UInt32(bigEndian: v4.s_addr))
  }

  /// The special-purpose blocks of IPv4 (IANA registry, RFC 6890), multicast and class E.
  private static let reservedV4: [(network: UInt32, bits: UInt32)] = [
    (0x0000_0000, 8), (0x0A00_0000, 8), (0x6440_0000, 10), (0x7F00_0000, 8), (0xA9FE_0000, 16), (0xAC10_0000, 12),
    (0xC000_0000, 24), (0xC000_0200, 24), (0xC058_6300, 24), (0xC0A8_0000, 16), (0xC612_0000, 15),
    (0xC633_6400, 24), (0xCB00_7100, 24), (0xE000_0000, 4), (0xF000_0000, 4),
  ]

  /// - Parameter v4: in host byte order.
  static func isPublic(v4: UInt32) -> Bool {
    !reservedV4.contains { block in v4 >> (32 - block.bits) == block.network >> (32 - block.bits) }
  }

  /// Only global unicast (2000::/3) is public; forms that carry an IPv4 address are judged by it.
  ///
  /// - Parameter v6: 16 bytes in network order.
  static func isPublic(v6: [UInt8]) -> Bool {
    func v4(at index: Int) -> UInt32 { v6[index..<(index + 4)].reduce(0) { $0 << 8 | UInt32($1) } }
    // IPv4-mapped ::ffff:0:0/96 and NAT64 64:ff9b::/96 (RFC 6052).
    if v6[..<10].allSatisfy({ $0 == 0 }), v6[10] == 0xFF, v6[11] == 0xFF { return isPublic(v4: v4(at: 12)) }
    if v6[..<12].elementsEqual([0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0]) { return isPublic(v4: v4(at: 12)) }
    // 6to4 (RFC 3056).
    if v6[0] == 0x20, v6[1] == 0x02 { return isPublic(v4: v4(at: 2)) }
    guard v6[0] & 0xE0 == 0x20 else { return false }
    // Special blocks under 2001::/23 (Teredo, ORCHID, benchmarking), documentation 2001:db8::/32 and 3fff::/20.
    if v6[0] == 0x20, v6[1] == 0x01, v6[2] & 0xFE == 0 { return false }
    if v6[0] == 0x20, v6[1] == 0x01, v6[2] == 0x0D, v6[3] == 0xB8 { return false }
    return !(v6[0] == 0x3F && v6[1] == 0xFF && v6[2] & 0xF0 == 0)
  }
}
