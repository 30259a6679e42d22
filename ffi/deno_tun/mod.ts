export { TunError, type TunErrorKind } from "./errors.ts";
export {
  MAX_READ,
  Tun,
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUN_F_USO4,
  TUN_F_USO6,
  type TunOptions,
  VNET_HEADER_SIZE,
} from "./tun.ts";
