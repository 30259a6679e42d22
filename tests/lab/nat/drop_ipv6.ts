/** Without IPv6 in the core there is no way around the NATs. */
import type { Product } from "../product.ts";

export async function dropIpv6(product: Product): Promise<void> {
  await product.internet.host("core").nft(
    `table inet v4only { chain forward_ { type filter hook forward priority 0; policy accept;
  meta nfproto ipv6 drop
  }
}
`,
  );
}
