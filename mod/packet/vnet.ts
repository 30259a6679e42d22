/**
 * The virtio-net header that precedes every packet on a TUN opened with `IFF_VNET_HDR` (virtio 1.2 §5.1.6, Linux
 * `virtio_net.h`): 10 bytes, native byte order, which is little-endian on every platform we run on.
 *
 * u8 flags · u8 gso_type · u16 hdr_len · u16 gso_size · u16 csum_start · u16 csum_offset
 */
export const VNET_HEADER_SIZE = 10;
/** Place of the fields. */
export const VNET_FLAGS = 0;
export const VNET_GSO_TYPE = 1;
export const VNET_HDR_LEN = 2;
export const VNET_GSO_SIZE = 4;
export const VNET_CSUM_START = 6;
export const VNET_CSUM_OFFSET = 8;

/** Flag: the checksum field holds only the pseudo-header sum. */
export const VNET_NEEDS_CSUM = 1;

export const GSO_NONE = 0;
export const GSO_TCPV4 = 1;
export const GSO_TCPV6 = 4;
export const GSO_UDP_L4 = 5;
/** Bit beside a TCP type: the segments carry CWR as RFC 3168 wants it. */
export const GSO_ECN_BIT = 0x80;
